"""The weights in the package generate chemistry that holds, over all 20 residue types."""

import numpy as np
import pytest

from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import relaxed

SEQUENCES = ["ARND", "CQEG", "HILK", "MFPS", "TWYV"]
FRAMES = 2000  # of each


@pytest.fixture(scope="module")
def generator():
    return TrajectoryGenerator.load(device="cpu")


def minimised(sequence):
    topology, positions = build_peptide(sequence, seed=2)
    return topology, relaxed(topology, positions)


@pytest.mark.slow
@pytest.mark.parametrize("sequence", SEQUENCES)
def test_two_thousand_frames_are_whole_molecules(generator, sequence):
    topology, start = minimised(sequence)
    xyz = np.concatenate([chunk[0] for chunk in generator.stream(topology, start, FRAMES, seed=5)])
    assert xyz.shape == (FRAMES, len(start), 3) and np.isfinite(xyz).all()
    for first, second in topology.bonds():
        i, j = first.index, second.index
        lengths = np.linalg.norm(xyz[:, i] - xyz[:, j], axis=-1)
        assert np.abs(lengths - np.linalg.norm(start[i] - start[j])).max() < 0.02, (first, second)
    for residue in topology.residues():
        atoms = {atom.name: atom.index for atom in residue.atoms()}
        if "CB" not in atoms:
            continue
        a, b, c = (xyz[:, atoms[name]] - xyz[:, atoms["CA"]] for name in ("N", "C", "CB"))
        assert ((a * np.cross(b, c)).sum(-1) > 0).all(), f"{residue.name} {residue.id} is not L"


@pytest.mark.slow
def test_generated_torsions_are_nearer_to_md_than_chance(generator):
    """Most phi angles of L residues are negative; a network that learned nothing would spread them evenly."""
    import mdtraj

    topology, start = minimised("AKLV")
    _, phi = mdtraj.compute_phi(generator.rollout(topology, start, 500, seed=1))
    assert (phi < 0).mean() > 0.85
