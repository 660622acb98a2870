"""What is known of a file or folder that this package made, found by its content and by manifests beside it.

*Facts* are values by their labels, which are words for a reader and keys for programs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from openmm_mdgen.commands.lists import SUMMARY
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import PROTOCOL_FILE, read_arrays, sha256_of
from openmm_mdgen.manifest import OF_FOLDER, Manifest, find

Facts = dict[str, Any]

_LARGEST = 1 << 30  # bytes of files that are looked through for what an `MDGenSimulation` adds to OpenMM's


def facts_of(path: Path) -> Facts:
    """All that is known of a file or folder.

    Raises
    ------
    MDGenError
        If it is not there, or nothing of this package.
    """
    if not path.exists():
        raise MDGenError(f"{path}: no such file or folder; of weights by their names tells openmm-mdgen weights show")
    found = find(path)
    facts: Facts = {}
    for recognised in _FOLDERS if path.is_dir() else _FILES:
        facts = recognised(path)
        if facts:
            break
    if found is not None and "what" not in facts:
        facts = {"what": "an output with a manifest"}
    if not facts:
        raise MDGenError(
            f"{path} is nothing of openmm-mdgen: it holds no weights, checkpoint, start or run of this package, and no "
            "manifest beside it names it"
        )
    told = {} if found is None or found[0] == path else {"manifest": str(found[0]), **_manifest(found[1])}
    return {"file": str(path), **facts, **{label: value for label, value in told.items() if label not in facts}}


def _manifest(manifest: Manifest) -> Facts:
    """A manifest, without what says nothing."""
    values = asdict(manifest)
    values["command"] = " ".join(manifest.command)
    values["state"] = "finished" if values.pop("is_finished") else "not finished: the same command goes on with it"
    values.pop("run")
    return {label: value for label, value in values.items() if value not in ("", None, [], {}, 0.0)}


def _manifest_file(path: Path) -> Facts:
    manifest = Manifest.read(path) if path.suffix == ".json" else None
    return {} if manifest is None else {"what": "the manifest of outputs", **_manifest(manifest)}


def _protocol_file(path: Path) -> Facts:
    if path.suffix != ".json":
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_ours = isinstance(values, dict) and {"source", "frame_interval", "integrator", "group_seed"} <= set(values)
    return {"what": "the protocol of real MD that simulate made", **values} if is_ours else {}


def _arrays(path: Path) -> Facts:
    """A checkpoint of a run, or the start of one."""
    if path.suffix != ".npz":
        return {}
    with suppress(ValueError, KeyError):
        arrays = read_arrays(path)
        kind = str(arrays.get("format", ""))
        if kind.startswith("openmm_mdgen run"):
            said = json.loads(str(arrays["said"]))
            return {
                "what": "the checkpoint of a run, from which it goes on",
                "frames": said["n_reports"],
                "atoms": len(arrays["start"]),
                "seconds": said["seconds"],
            }
        if kind.startswith("openmm_mdgen start"):
            numbers = {name: arrays[name].item() for name in ("iterations", "energy", "rms_force", "end")}
            return {"what": "the minimised start of a run", "atoms": len(arrays["positions"]), **numbers}
    return {}


def _simulation_file(path: Path) -> Facts:
    """A checkpoint or a state that an `MDGenSimulation` saved."""
    from openmm_mdgen.simulation import restart
    from openmm_mdgen.simulation.record import Record, Summary

    data = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
    is_state = data.lstrip().startswith(b"<?xml")
    arrays = restart.split_state(data.decode(errors="replace"))[1] if is_state else restart.split_checkpoint(data)[1]
    if arrays is None:
        return {}
    weights = arrays.get("weights")
    return {
        "what": f"a {'state' if is_state else 'checkpoint'} of an MDGenSimulation, which OpenMM reads too",
        "seed": int(arrays["seed"]),
        "segments": int(arrays["segment_index"]) + 1,
        "weights": None if weights is None else {"name": str(weights[1]), "sha256": str(weights[0])},
        "record": str(Summary.of(Record.from_array(arrays["record"]).segments)) if "record" in arrays else None,
        "is_hybrid": "hybrid.retreat" in arrays,
    }


def _weights(path: Path) -> Facts:
    from openmm_mdgen.model.catalogue import OWN, of_file

    if path.suffix not in (".safetensors", ".ckpt", ".pt"):
        return {}
    try:
        entry = of_file(path.name, OWN, path)
    except MDGenError:
        if path.suffix == ".safetensors":  # which nothing else of this package has
            raise
        return {}
    known = {name: value for name, value in asdict(entry).items() if name not in ("name", "place", "path") and value}
    return {"what": "weights", **known, "sha256": sha256_of(path)}


def _training_checkpoint(path: Path) -> Facts:
    """``last.ckpt`` of a training run; code in it is not run."""
    import torch

    if path.suffix != ".ckpt":
        return {}
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        settings = json.loads(saved["openmm_mdgen"])
    except Exception:  # whatever a file of another kind makes the reader stumble over
        return {}
    return {"what": "the checkpoint of a training run", "step": saved["global_step"], "settings": settings["training"]}


def _manifest_folder(path: Path) -> Facts:
    manifest = Manifest.read(path / OF_FOLDER)
    return {} if manifest is None else {"what": "a folder of outputs", **_manifest(manifest)}


def _training_folder(path: Path) -> Facts:
    last = path / "last.ckpt"
    facts = _training_checkpoint(last) if last.is_file() else {}
    if not facts:
        return {}
    finished = path / "weights.safetensors"
    written = {"weights_file": str(finished)} if finished.is_file() else {}
    return {**facts, "what": "a training run", **written}


def _simulated_folder(path: Path) -> Facts:
    """Of one system, or of many."""
    own = path / PROTOCOL_FILE
    if own.is_file():
        return _protocol_file(own)
    finished = [folder.parent.name for folder in sorted(path.glob("*/protocol.json")) if _protocol_file(folder)]
    groups = sorted(path.glob(".group-*"))
    if not finished and not groups:
        return {}
    frames = [len(list(group.glob("block_*.chk"))) for group in groups]
    progress = {"groups_in_progress": len(groups), "blocks_done": sum(frames)} if groups else {}
    return {"what": "real MD that simulate made", "systems": len(finished), "names": finished, **progress}


def _folder_of_a_list(path: Path) -> Facts:
    """Of ``run LIST.csv``, by its summary."""
    summary = path / SUMMARY
    if not summary.is_file():
        return {}
    with open(summary, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"name", "state", "trajectory"} <= set(reader.fieldnames or ()):
            return {}
        states = {row["name"]: row["state"] for row in reader}
    failed = {name: state for name, state in states.items() if state != "finished"}
    return {"what": "runs of a list", "runs": len(states), "finished": len(states) - len(failed), "failed": failed}


def _folder_of_runs(path: Path) -> Facts:
    """With runs in it, each with a manifest of its own."""
    read = {file.name: Manifest.read(file) for file in sorted(path.glob("*.manifest.json"))}
    found = {name: manifest for name, manifest in read.items() if manifest is not None}
    if len(found) == 1:
        return {"what": "the folder of a run", **_manifest(*found.values())}
    states = {name: "finished" if one.is_finished else "not finished" for name, one in found.items()}
    return {"what": "a folder of outputs with manifests", "manifests": states} if found else {}


def _explored_folder(path: Path) -> Facts:
    plan = path / "plan.json"
    if not plan.is_file() or not list(path.glob("topology.pdb")):
        return {}
    return {"what": "an exploration", "plan": json.loads(plan.read_text(encoding="utf-8"))}


_FILES: tuple[Callable[[Path], Facts], ...] = (
    _manifest_file,
    _protocol_file,
    _arrays,
    _weights,
    _training_checkpoint,
    _simulation_file,
)
_FOLDERS: tuple[Callable[[Path], Facts], ...] = (
    _training_folder,
    _simulated_folder,
    _folder_of_a_list,
    _explored_folder,
    _manifest_folder,
    _folder_of_runs,
)
