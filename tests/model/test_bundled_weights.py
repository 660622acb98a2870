"""The weights in the package generate chemistry that holds, over all 20 residue types, and were trained apart."""

import numpy as np
import pytest

from openmm_mdgen.data import held_out_sequences
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.geometry.residues import RESTYPES
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.model import checkpoints

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


# Peptides that weights are measured on, or that users know: none of them may be trained on, capped or free.
KEPT_APART = ("YGGFM YGGFL GYDPETGTWG YYDPETGTWY AAAAA AAAA GGFL RGDS RGD VVIA KLVFF DRVYIHPF AEAAAKEAAA VK").split()
CAPS = {"ACE", "NME", "NH2", "ace", "nme"}


@pytest.mark.parametrize("name", checkpoints.bundled())
def test_no_sequence_that_is_kept_apart_was_trained_on(name):
    trained_on = checkpoints.header(checkpoints.find(name))[1].about["sequences"]
    bare = {"".join(part for part in sequence.split("-") if part not in CAPS) for sequence in trained_on}
    assert len(bare) >= 30 and all(set(sequence) <= set(RESTYPES) for sequence in bare)
    assert not bare & {*KEPT_APART, *held_out_sequences()}


def test_all_weights_together_are_small_enough_for_a_wheel():
    sizes = [checkpoints.find(name).stat().st_size for name in checkpoints.bundled()]
    assert sizes and sum(sizes) <= 14e6
