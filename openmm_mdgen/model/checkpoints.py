"""Weights on disk: this package's own files, and published MDGen checkpoints.

Own files are safetensors with a JSON header: nothing in them is executed. Published ``.ckpt`` files are read by torch's
weights-only unpickler. Everything peculiar to published checkpoints is settled here, by the configuration they get.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import torch
from safetensors.torch import save as safetensors_save
from torch import Tensor

from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.files import replacing
from openmm_mdgen.model import hub, ode
from openmm_mdgen.model.dirichlet import DirichletFlow
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.info import ModelInfo
from openmm_mdgen.model.known import CITATION, KNOWN, training_data
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tasks import TASKS, ForwardSimulation, Inpainting, Interpolation, Task, Upsampling
from openmm_mdgen.model.tokens import Tokenizer

_FORMAT = "openmm_mdgen 1"
_PREFIX = "model."  # of parameter names in published checkpoints
_Read = TypeVar("_Read")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

# Prefixes of names, each with what turns a whole name into a file of weights on this machine.
PREFIXES: dict[str, Callable[[str], Path]] = {hub.PREFIX: lambda name: fetched(name)}


def bundled() -> list[str]:
    """Names of the weights that come with the package."""
    folder = resources.files("openmm_mdgen").joinpath("weights")
    return sorted(p.name.removesuffix(".safetensors") for p in folder.iterdir() if p.name.endswith(".safetensors"))


class NoSuchWeightsError(CheckpointError):
    """A name that stands for no weights."""


def places(name: str) -> dict[str, Callable[[], Path]]:
    """Where weights of that name are: what is there, in words, and what gives its path.

    Names with a prefix are not looked for.
    """
    found: dict[str, Callable[[], Path]] = {}
    if name in bundled():
        found["bundled weights"] = lambda: Path(
            str(resources.files("openmm_mdgen").joinpath(f"weights/{name}.safetensors"))
        )
    if name in KNOWN:
        found["published weights"] = lambda: fetched(name)
    if Path(name).is_file():
        found[f"the file {Path(name).resolve()}"] = lambda: Path(name)
    return found


def fetched(name: str, *, newest: bool = False) -> Path:
    """The file of published weights, by their short name or one of the hub; see `hub.fetch`."""
    location = hub.Location.of(KNOWN[name].location if name in KNOWN else name)
    return hub.fetch(name, location, check=_read, newest=newest)


def find(name_or_path: str | Path) -> Path:
    """The file of weights that a name stands for.

    Parameters
    ----------
    name_or_path : str or Path
        A name with a prefix in `PREFIXES`, the name of bundled or of published weights, or a file. A `Path` is always a
        file. What the hub has is fetched if it is not in the cache.

    Raises
    ------
    NoSuchWeightsError
        If nothing of that name is there.
    CheckpointError
        If the prefix is unknown, the name stands for bundled or published weights and for a file, or weights cannot be
        fetched.
    """
    if isinstance(name_or_path, str):
        for prefix, fetch in PREFIXES.items():
            if name_or_path.startswith(prefix):
                return fetch(name_or_path)
        if scheme := _SCHEME.match(name_or_path):
            raise CheckpointError(
                f"{name_or_path}: names with {scheme[0]!r} are not known; known prefixes: {', '.join(PREFIXES)}"
            )
        found = places(name_or_path)
        if len(found) > 1:
            raise CheckpointError(
                f"{name_or_path!r} is the name of {' and of '.join(found)}: write ./{name_or_path} for the file"
            )
        if found:
            return next(iter(found.values()))()
    path = Path(name_or_path)
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: name a file of weights, such as {path / 'weights.safetensors'}")
    if not path.is_file():
        raise NoSuchWeightsError(
            f"no weights at {path}; bundled ones are {', '.join(bundled()) or 'none'}; published ones are "
            f"{', '.join(KNOWN)}"
        )
    return path


def load(name_or_path: str | Path) -> tuple[TrajectoryFlow, ModelInfo]:
    """Read weights by their name, or from a ``.safetensors`` or published ``.ckpt`` file; see `find`.

    Raises
    ------
    CheckpointError
        If there are none of that name, or the file is damaged or of another kind.
    """
    return _read(find(name_or_path))


def header(path: Path) -> tuple[FlowConfig, ModelInfo]:
    """What a file of weights says of itself; its numbers are not read. Raises as `load`."""
    return _guarded(_published_header if path.suffix == ".ckpt" else _own_header, path)


def _read(path: Path) -> tuple[TrajectoryFlow, ModelInfo]:
    return _guarded(_load_published if path.suffix == ".ckpt" else _load_own, path)


def _guarded(reader: Callable[[Path], _Read], path: Path) -> _Read:
    try:
        return reader(path)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged file makes a reader stumble over
        fault = _fault(path, error)
        raise CheckpointError(f"{path} cannot be read as weights ({fault}); fetch or make it again") from error


def _fault(path: Path, error: Exception) -> str:
    """What is wrong with a file, in a line; torch's own words tell how to run code that is in it."""
    with open(path, "rb") as file:
        start = file.read(64).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is a web page"
    text = str(error)
    if code := re.search(r"Unsupported \w+: GLOBAL (\S+)", text):
        return f"to open it, {code[1]} would have to be run, and no code of such files is"
    return (text.splitlines() or [type(error).__name__])[0][:200]


@cache
def network_of(bundled_name: str) -> NetworkConfig:
    """What the network of bundled weights takes, read from the file's header alone."""
    return header(find(bundled_name))[0].network


def save(path: str | Path, flow: TrajectoryFlow, info: ModelInfo, *, dtype: torch.dtype = torch.float32) -> None:
    """Write weights and their configuration to a file.

    Parameters
    ----------
    path : str or Path
    flow : TrajectoryFlow
    info : ModelInfo
    dtype : torch.dtype
        Type of the stored numbers.
    """
    config = config_values(flow.config)
    # clone: Hyena's three frequencies are one parameter, and safetensors refuses shared memory
    tensors = {k: v.detach().to("cpu", dtype).clone() for k, v in flow.network.state_dict().items()}
    header = {"format": _FORMAT, "config": json.dumps(config), "info": json.dumps(info.values())}
    with replacing(path) as temporary:
        temporary.write_bytes(_in_order(safetensors_save(tensors, metadata=header)))


def checksum(flow: TrajectoryFlow) -> str:
    """SHA-256 of the network's numbers as float32, wherever they are."""
    digest = hashlib.sha256()
    for name, value in sorted(flow.network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} ".encode())
        digest.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


def _in_order(data: bytes) -> bytes:
    """The same file with its metadata sorted: safetensors orders them at random, and equal weights are equal files."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format keeps tensors aligned
    return len(text).to_bytes(8, "little") + text + data[end:]


def config_values(config: FlowConfig) -> dict[str, Any]:
    """A configuration as plain values, for JSON."""
    values = asdict(config)
    return {**values, "task": {"name": config.task.name, **values["task"]}}


def config_from_values(values: dict[str, Any]) -> FlowConfig:
    """Inverse of `config_values`, also after a passage through JSON."""
    task = dict(values["task"])
    task_type = TASKS[task.pop("name")]
    tokenizer: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["tokenizer"].items()}
    return FlowConfig(
        network=NetworkConfig(**values["network"]),
        tokenizer=Tokenizer(**tokenizer),
        task=task_type(**{k: tuple(v) if isinstance(v, list) else v for k, v in task.items()}),
        interpolant=values["interpolant"],
        hold_known=values["hold_known"],
        simplex=DirichletFlow(**values["simplex"]),
    )


def _own_header(path: Path) -> tuple[FlowConfig, ModelInfo]:
    with safetensors.safe_open(str(path), framework="pt") as file:
        said = file.metadata() or {}
    if said.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is not in the format {_FORMAT!r} that this version reads")
    return config_from_values(json.loads(said["config"])), ModelInfo.from_values(json.loads(said["info"]))


def _load_own(path: Path) -> tuple[TrajectoryFlow, ModelInfo]:
    config, info = _own_header(path)
    with safetensors.safe_open(str(path), framework="pt") as file:
        tensors = {key: file.get_tensor(key).float() for key in file.keys()}
    return _with_weights(config, tensors), info


def _published_header(path: Path) -> tuple[FlowConfig, ModelInfo]:
    args = _published_content(path, mmap=True)["hyper_parameters"]["args"]
    return published_config(vars(args)), _published_info(path.stem, vars(args))


def _load_published(path: Path) -> tuple[TrajectoryFlow, ModelInfo]:
    content = _published_content(path)
    args = vars(content["hyper_parameters"]["args"])
    config = published_config(args)
    tensors = {key.removeprefix(_PREFIX): value for key, value in content["state_dict"].items()}
    return _with_weights(config, tensors), _published_info(path.stem, args)


def _published_content(path: Path, *, mmap: bool = False) -> dict[str, Any]:
    with torch.serialization.safe_globals([argparse.Namespace]):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)


def _with_weights(config: FlowConfig, tensors: dict[str, Tensor]) -> TrajectoryFlow:
    flow = TrajectoryFlow(config)
    try:
        flow.network.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"the weights do not fit the architecture that the file states: {error}") from error
    bad = [key for key, value in tensors.items() if not torch.isfinite(value).all()]
    if bad:
        raise CheckpointError(f"weights that are not finite: {', '.join(bad[:3])}")
    return flow.eval().requires_grad_(False)


def published_config(args: dict[str, Any]) -> FlowConfig:
    """Configuration of a published checkpoint from its saved arguments; absent switches are off.

    Raises
    ------
    CheckpointError
        For the variants that no published model uses: ``mpnn``, ``dynamic_mpnn``, ``no_frames``, ``no_offsets``,
        ``no_design_torsion``, ``design_key_frames``, and predictions other than the velocity.
    """
    unused = ("mpnn", "dynamic_mpnn", "no_frames", "no_offsets", "no_design_torsion", "design_key_frames")
    refused = [name for name in unused if args.get(name)]
    if args.get("prediction", "velocity") != "velocity":
        refused.append(f"prediction={args['prediction']}")
    if refused:
        raise CheckpointError(f"checkpoints trained with {', '.join(refused)} are not supported")
    task = _published_task(args)
    network = NetworkConfig(
        token_width=7 * task.n_key_frames + 14,
        n_key_frames=task.n_key_frames,
        width=args["embed_dim"],
        n_layers=args["num_layers"],
        n_heads=args["mha_heads"],
        ipa_heads=args["ipa_heads"],
        ipa_head_width=args["ipa_head_dim"],
        ipa_points=args["ipa_qk"],
        ipa_value_points=args["ipa_v"],
        max_residues=args["crop"],
        n_frames=args["num_frames"],
        time_mixer="hyena" if args.get("hyena") else "attention",
        position_embedding=args["abs_pos_emb"],
        frame_embedding=args.get("abs_time_emb", False),
        rotary=not args.get("no_rope", False),
        sink_has_position=True,
        residue_types=not args.get("no_aa_emb", False),
        designs=args.get("design", False),
        prepend_ipa=args["prepend_ipa"],
        interleave_ipa=args.get("interleave_ipa", False),
        time_multiplier=args.get("time_multiplier", 100.0),
    )
    tokenizer = Tokenizer(
        n_key_frames=task.n_key_frames, torsions=not args.get("no_torsion", False), zero_undefined=False
    )
    simplex = DirichletFlow(
        args.get("alpha_max", 8.0), args.get("dirichlet_flow_temp", 1.0), exact=False, per_residue=False
    )
    return FlowConfig(network, tokenizer, task, args.get("path_type", "GVP"), hold_known=False, simplex=simplex)


def _published_task(args: dict[str, Any]) -> Task:
    if args.get("inpainting"):
        return Inpainting(hides_designed=False)
    if args.get("tps_condition"):
        return Interpolation()
    if args.get("cond_interval"):
        return Upsampling(args["cond_interval"])
    if args.get("sim_condition"):
        return ForwardSimulation()
    raise CheckpointError("the checkpoint's saved arguments name no task")


def _published_info(name: str, args: dict[str, Any]) -> ModelInfo:
    data, reason = training_data(args)
    # Of the written frames "_i100" left each 100th on disk, and frame_interval thinned them again on reading.
    thinned = int((args.get("suffix") or "_i1").removeprefix("_i"))
    solver, evaluations = ode.for_published(args.get("sampling_method", "dopri5"))
    return ModelInfo(
        name=name,
        n_frames=args["num_frames"],
        frame_interval=round(data.saved_interval * thinned * (args.get("frame_interval") or 1), 6),
        temperature=data.temperature,
        force_field=data.force_field,
        ode_solver=solver,
        evaluations=evaluations,
        backbone="fitted",
        about={
            "source": "MDGen, arXiv 2409.17808",
            "licence": "MIT",
            "citation": CITATION,
            "conditions": f"{data.words} ({reason}): {data.source}",
        },
    )
