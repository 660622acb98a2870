"""Where trajectories lie in folders: ``NAME.pdb`` and ``NAME.xtc`` of one peptide each, evenly spaced in time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from openmm_mdgen.data.recordings import Recording, read_recording
from openmm_mdgen.errors import MDGenError


def read_folders(folders: Sequence[Path], *, excluded: frozenset[str] = frozenset()) -> list[Recording]:
    """All recordings of the folders but those of an excluded sequence.

    Raises
    ------
    MDGenError
        If there is none, or one cannot be read.
    """
    pairs = [(pdb, pdb.with_suffix(".xtc")) for folder in folders for pdb in sorted(Path(folder).glob("*.pdb"))]
    recordings = [read_recording(pdb, xtc) for pdb, xtc in pairs if xtc.exists()]
    recordings = [r for r in recordings if r.sequence not in excluded]
    if not recordings:
        raise MDGenError(f"no NAME.pdb with NAME.xtc to train on in {', '.join(map(str, folders))}")
    return recordings
