"""What weights there are: those that come with the package, those in the cache, and published ones by their names.

Times in picosecond, temperatures in kelvin, sizes in bytes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.model import checkpoints, hub
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.known import CITATION, KNOWN, PublishedWeights
from openmm_mdgen.model.network import NetworkConfig

BUNDLED, CACHED, NOT_FETCHED, OWN = "bundled", "cached", "not fetched", "a file of yours"
_BYTES_OF_A_NUMBER = 4


@dataclass(frozen=True)
class Entry:
    """Weights, and what a user has to know before choosing them.

    Parameters
    ----------
    name : str
        What a user writes.
    place : str
        ``"bundled"``, ``"cached"``, ``"not fetched"`` or ``"a file of yours"``.
    path : str or None
        Of the file; None if it is not on this machine.
    size : int
        Bytes of the file; of one that is not fetched, those of its trained numbers.
    task : str
        Name in `model.tasks.TASKS`.
    chain_lengths : str
        Number of residues of the chains that they take.
    n_frames : int
        Frames of one segment.
    frame_interval : float
        Picoseconds between frames.
    temperature : float
        Kelvin, of what they generate unless they are asked for another temperature.
    force_field : str
        Force field and solvent of the training data.
    n_parameters : int
        Trained numbers.
    licence, citation, source : str
        The source is that of the conditions; empty where the file itself states them.
    temperature_range : (float, float)
        Lowest and highest temperature that they take, in kelvin.
    """

    name: str
    place: str
    path: str | None
    size: int
    task: str
    chain_lengths: str
    n_frames: int
    frame_interval: float
    temperature: float
    force_field: str
    n_parameters: int
    licence: str
    citation: str
    source: str
    temperature_range: tuple[float, float]


def entries() -> list[Entry]:
    """Bundled weights, then published ones, then others that were fetched by this package.

    A file in the cache that cannot be read is left out: it is refused, and fetched anew, when it is used.
    """
    found = [of_file(name, BUNDLED, checkpoints.find(name)) for name in checkpoints.bundled()]
    for weights in KNOWN.values():
        try:
            found.append(_published(weights))
        except CheckpointError:
            found.append(_of_table(weights))
    listed = {entry.path for entry in found}
    for location, path in hub.cached_files():
        name = f"{hub.PREFIX}{location.repository}/{location.file}@{location.revision}"
        if str(path) not in listed:
            with suppress(CheckpointError):
                found.append(of_file(name, CACHED, path))
    return found


def entry_of(name_or_path: str) -> Entry:
    """One entry, by a name or a file; nothing is fetched.

    Raises
    ------
    CheckpointError
        If there is nothing of that name, or it cannot be read.
    """
    if name_or_path in KNOWN and len(checkpoints.places(name_or_path)) == 1:
        return _published(KNOWN[name_or_path])
    if name_or_path.startswith(hub.PREFIX):
        path = hub.Location.of(name_or_path).cached()
        if path is None:
            raise checkpoints.NoSuchWeightsError(
                f"{name_or_path} is not in the cache: 'openmm-mdgen weights fetch {name_or_path}' fetches it"
            )
        return of_file(name_or_path, CACHED, path)
    return of_file(
        name_or_path, BUNDLED if name_or_path in checkpoints.bundled() else OWN, checkpoints.find(name_or_path)
    )


def of_file(name: str, place: str, path: Path) -> Entry:
    """The entry of a file of weights, from its header alone."""
    config, info = checkpoints.header(path)
    return Entry(
        name,
        place,
        str(path),
        path.stat().st_size,
        config.task.name,
        _lengths(config.network),
        info.n_frames,
        info.frame_interval,
        info.temperature,
        info.force_field,
        _n_parameters(config),
        _said(info.about, "licence") or ("MIT" if place == BUNDLED else "not stated"),
        _said(info.about, "citation") or (CITATION if place == BUNDLED else "not stated"),
        info.about.get("conditions", ""),
        info.temperature_range,
    )


def _published(weights: PublishedWeights) -> Entry:
    """From the table, until the file itself is there."""
    path = hub.Location.of(weights.location).cached()
    return _of_table(weights) if path is None else of_file(weights.name, CACHED, path)


def _of_table(weights: PublishedWeights) -> Entry:
    return Entry(
        weights.name,
        NOT_FETCHED,
        None,
        _BYTES_OF_A_NUMBER * weights.n_parameters,
        weights.task,
        weights.chain_lengths,
        weights.n_frames,
        weights.frame_interval,
        weights.data.temperature,
        weights.data.force_field,
        weights.n_parameters,
        weights.licence,
        weights.citation,
        f"{weights.data.words}: {weights.data.source}; {weights.source}",
        (weights.data.temperature, weights.data.temperature),
    )


def _said(about: dict[str, Any], key: str) -> str:
    """What weights say of themselves, or those that they were fine-tuned from."""
    return about.get(key, "") or (_said(about["fine_tuned_from"], key) if "fine_tuned_from" in about else "")


def _lengths(network: NetworkConfig) -> str:
    return str(network.max_residues) if network.position_embedding else f"1-{network.max_residues}"


def _n_parameters(config: FlowConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in TrajectoryFlow(config).parameters())
