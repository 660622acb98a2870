"""Generators by name: what a simulation and the commands turn a user's word into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.protocol import Generator

if TYPE_CHECKING:
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator


def loaded(
    generator: Generator | str | Path | None,
    upsampling: TrajectoryGenerator | str | Path | None = None,
    *,
    device: str = "auto",
) -> Generator:
    """A generator as an object.

    Parameters
    ----------
    generator : Generator or str or Path, optional
        An object, which is returned as it is, or the name or file of weights. Default: the bundled weights.
    upsampling : TrajectoryGenerator or str or Path, optional
        Weights that fill in the generator's frames.
    device : str
        Where a generator that is loaded by its name runs; ``"auto"`` takes a GPU if there is one.

    Raises
    ------
    CheckpointError
        If there is no such generator, or it cannot be loaded.
    MDGenError
        If `generator` is an object of another kind, or its frames cannot be filled in.
    """
    # Imported where it is needed: a simulation that never generates does without torch.
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

    if upsampling is not None:
        from openmm_mdgen.generators.fine import FineGenerator

        return FineGenerator(
            _trajectory_generator(generator, None, device), _trajectory_generator(upsampling, "upsampling", device)
        )
    if generator is None or isinstance(generator, str | Path):
        return TrajectoryGenerator.load(generator, device=device)
    if not isinstance(generator, Generator):
        raise MDGenError(
            f"generator is a {type(generator).__name__}: give the name or file of weights, or an object with the "
            "members of openmm_mdgen.protocol.Generator"
        )
    return generator


def _trajectory_generator(
    generator: Generator | str | Path | None, task: str | None, device: str
) -> TrajectoryGenerator:
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

    if generator is None or isinstance(generator, str | Path):
        return TrajectoryGenerator.load(generator, task=task, device=device)
    if not isinstance(generator, TrajectoryGenerator):
        raise MDGenError(f"frames of a {type(generator).__name__} cannot be filled in: use a TrajectoryGenerator")
    return generator
