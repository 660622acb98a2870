"""Peptides with real MD on disk: what `benchmark` and `table` share. Nanometre, picosecond."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from openmm_mdgen.errors import MDGenError

if TYPE_CHECKING:
    import mdtraj

    from openmm_mdgen.analysis import Evaluation

DISTANCES = {
    "torsions (bb)": "torsions_backbone",
    "torsions (sc)": "torsions_sidechain",
    "torsions (all)": "torsions_all",
    "TICA-0": "tica_0",
    "TICA-0,1": "tica_01",
    "MSM states": "msm",
}
SUFFIXES = (".xtc", ".dcd", ".trr", ".nc")


def pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Structure and trajectory by name, of each NAME.pdb that has a trajectory NAME.xtc, .dcd, ... beside it.

    In the folder itself, or in folders NAME of it, as ``openmm-mdgen simulate`` writes them.

    Raises
    ------
    MDGenError
        If there is none.
    """
    if not folder.is_dir():
        raise MDGenError(f"{folder}: no such folder")
    found = {}
    own = [path for path in folder.glob("*/*.pdb") if path.stem == path.parent.name]
    for pdb in sorted([*folder.glob("*.pdb"), *own], key=lambda path: path.stem):
        trajectories = [pdb.with_suffix(s) for s in SUFFIXES if pdb.with_suffix(s).is_file()]
        if len(trajectories) > 1:
            raise MDGenError(f"{pdb} has several trajectories beside it, {', '.join(t.name for t in trajectories)}")
        if trajectories:
            found[pdb.stem] = (pdb, trajectories[0])
    if not found:
        raise MDGenError(f"{folder} has no NAME.pdb with a trajectory ({', '.join(SUFFIXES)}) of that name beside it")
    return found


def read_md(topology: Path, path: Path) -> mdtraj.Trajectory:
    """The protein, with the times of its frames from 0, however the file stores them.

    Raises
    ------
    MDGenError
        If it cannot be read, or the interval between its frames is not known.
    """
    import mdtraj

    from openmm_mdgen.analysis import NotDefined, TrajectoryFile
    from openmm_mdgen.analysis.sources import measure, pieces

    source = TrajectoryFile(path, topology)
    interval = measure(source).torsions.frame_interval
    if isinstance(interval, NotDefined):
        raise MDGenError(f"{path}: {interval.why}")
    whole = mdtraj.join(list(pieces(source)), check_topology=False)
    whole.time = np.arange(whole.n_frames) * interval
    return whole


def distances(evaluation: Evaluation) -> dict[str, float | str]:
    """The columns of Table 2 by name: numbers, or text that says why there is none."""
    from openmm_mdgen.analysis import NotDefined

    values = {column: getattr(evaluation.jsd, name) for column, name in DISTANCES.items()}
    return {column: str(value) if isinstance(value, NotDefined) else value for column, value in values.items()}
