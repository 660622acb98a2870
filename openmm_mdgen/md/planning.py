"""Which trajectories of real MD are to be made, each with a name and a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openmm_mdgen.arguments import between, require, valid_count
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.prepare import NEUTRAL_PH, Source
from openmm_mdgen.seeds import named_seed, valid_seed


@dataclass(frozen=True)
class MDSystem:
    """A trajectory that is to be made.

    Parameters
    ----------
    name : str
        Name of its folder and files.
    source : str or Source
        A sequence, built in backbone basins drawn from the seed, or a structure file, as `prepare` takes them. A
        topology of AMBER or CHARMM is simulated in its own force field and solvent.
    seed : int
        Seed of the start and the random forces.
    ph : float
        pH for which hydrogens are added.
    ending : str
        Of the trajectory's name, which decides its format: one of `trajectory_files.FORMATS`.
    """

    name: str
    source: str | Source
    seed: int
    ph: float = NEUTRAL_PH
    ending: str = ".xtc"

    def trajectory(self, out: Path) -> Path:
        """Its file in a folder of results."""
        return out / self.name / f"{self.name}{self.ending}"

    @property
    def structure(self) -> Source:
        """The source with the files that belong to it."""
        return self.source if isinstance(self.source, Source) else Source(self.source)


def planned(
    sources: Sequence[str | Source], *, replicas: int, seed: int | None = None, ph: float = NEUTRAL_PH
) -> list[MDSystem]:
    """Plan one trajectory of each source, or several that start differently.

    Parameters
    ----------
    sources : sequence of str or Source
        Sequences such as ``AKLV`` or ``ACE-AKLV-NME``, or names of structure files.
    replicas : int
        Trajectories of each source.
    seed : int, optional
        Source of all seeds. One is drawn where it is left out: each system states its own.
    ph : float
        pH for which hydrogens are added.

    Returns
    -------
    list of MDSystem
        Each is named after its source: NAME, or NAME_0, NAME_1 and so on for several replicas.

    Raises
    ------
    MDGenError
        If two systems would have the same name, or a number makes no sense.
    """
    require("sources", sources, not isinstance(sources, str | Source), "a list, such as ['AKLV']")
    replicas, seed, ph = valid_count("replicas", replicas), valid_seed(seed), between("ph", ph, 0, 14)
    for source in sources:
        require("one of the sources", source, isinstance(source, str | Path | Source), "a sequence or a structure file")
    systems = []
    for source in sources:
        stem = (source if isinstance(source, Source) else Source(str(source))).stem
        for replica in range(replicas):
            name = stem if replicas == 1 else f"{stem}_{replica}"
            systems.append(MDSystem(name, source, named_seed(seed, replica, stem), ph))
    names = [system.name for system in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MDGenError(
            f"{', '.join(twice[:3])} named more than once: for several trajectories of one, ask for replicas"
        )
    return systems
