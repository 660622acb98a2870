"""What the rows of wrong inputs share: one peptide, and a trajectory of it. Rows do not change it."""

from types import SimpleNamespace

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import unit

from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.structures import write_pdb


@pytest.fixture(scope="session")
def peptide(tmp_path_factory):
    """AKLV: `topology`, `positions` (nm), `quantity`, a `trajectory` of 50 frames 100 ps apart, and its `folder`."""
    topology, quantity = build_peptide("AKLV", seed=1)
    positions = np.array(quantity.value_in_unit(unit.nanometer))
    folder = tmp_path_factory.mktemp("peptide")
    write_pdb(folder / "a.pdb", topology, positions)
    frames = positions + 0.002 * np.random.default_rng(0).standard_normal((50, *positions.shape))
    trajectory = mdtraj.Trajectory(frames, mdtraj.Topology.from_openmm(topology), time=np.arange(50) * 100.0)
    trajectory.save_xtc(str(folder / "a.xtc"))
    trajectory.save_dcd(str(folder / "a.dcd"))
    other, theirs = build_peptide("AGLV", seed=1)
    write_pdb(folder / "g.pdb", other, np.array(theirs.value_in_unit(unit.nanometer)))
    return SimpleNamespace(
        topology=topology,
        quantity=quantity,
        positions=positions,
        trajectory=trajectory,
        other=mdtraj.load(str(folder / "g.pdb")),
        folder=folder,
        reference=openmm.Platform.getPlatformByName("Reference"),
    )
