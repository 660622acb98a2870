"""Without a name, bundled weights are chosen by the molecule; a molecule that none take is refused with the reason."""

import mdtraj
import numpy as np
import pytest

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.generators.registry import loaded
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.md.systems import relaxed


@pytest.mark.parametrize(
    ("sequence", "name"),
    [
        ("AKLV", "forward_peptide"),
        ("GG", "forward_peptide"),
        ("AKLVE", "forward_peptide"),
        ("ACE-A-NME", "forward_peptide"),
        ("ACE-AKLV-NME", "forward_peptide"),
    ],
)
def test_default_weights_are_those_that_take_the_molecule(sequence, name):
    topology = prepare(sequence, seed=1).topology
    assert loaded(None, topology=topology).info.name == name
    assert TrajectoryGenerator.load(topology=topology).info.name == name


@pytest.mark.parametrize(
    ("sequence", "name"),
    [
        ("AKLV", "interpolation_tetrapeptide"),
        ("ACE-A-NME", "interpolation_peptide"),
        ("ACE-GAAG-NME", "interpolation_peptide"),
        ("YGGFM", "interpolation_peptide"),
    ],
)
def test_paths_of_any_peptide_meet_both_ends(sequence, name):
    prepared = prepare(sequence, seed=3)
    start = relaxed(prepared.topology, prepared.positions)
    forward = TrajectoryGenerator.load(topology=prepared.topology, device="cpu")
    end = forward.rollout(prepared.topology, start, 49, seed=5).xyz[-1]
    generator = TrajectoryGenerator.load(task="interpolation", topology=prepared.topology, device="cpu")
    assert generator.info.name == name
    (path,) = generator.interpolate(prepared.topology, start, end, paths=1, seed=5)
    heavy = path.topology.select("element != H")
    ends = mdtraj.Trajectory(np.stack([start, end]), path.topology)
    for k, i in ((0, 0), (1, -1)):
        assert mdtraj.rmsd(path[i], ends[k], atom_indices=heavy)[0] < 0.001
    assert mdtraj.rmsd(path, ends[0], atom_indices=heavy)[1:-1].max() > 0.03  # it moves


@pytest.mark.parametrize(
    ("sequence", "name"), [("AKLV", "tetrapeptide"), ("ACE-A-NME", "peptide"), ("YGGFM", "peptide")]
)
def test_upsampling_of_any_peptide_keeps_the_given_frames(sequence, name):
    prepared = prepare(sequence, seed=3)
    start = relaxed(prepared.topology, prepared.positions)
    forward = TrajectoryGenerator.load(topology=prepared.topology, device="cpu")
    given = forward.rollout(prepared.topology, start, 2, seed=5)
    generator = TrajectoryGenerator.load(task="upsampling", topology=prepared.topology, device="cpu")
    assert generator.info.name == f"upsampling_{name}"
    fine = generator.upsample(given, seed=5)
    assert fine.n_frames == 101
    heavy = fine.topology.select("element != H")
    for k, i in ((0, 0), (1, -1)):
        assert mdtraj.rmsd(fine[i], given[k], atom_indices=heavy)[0] < 0.001


def test_weights_that_do_not_take_a_length_name_those_that_do():
    topology, _ = build_peptide("AKLVE", seed=1)
    with pytest.raises(UnsupportedTopologyError, match="5 residues.*Use 'interpolation_peptide'"):
        TrajectoryGenerator.load("interpolation_tetrapeptide").sampler.chain_of(topology)


def test_a_chain_that_no_bundled_weights_take_is_refused():
    topology, _ = build_peptide("A" * 11, seed=1)
    with pytest.raises(UnsupportedTopologyError, match="11 residues.*train some for this length") as told:
        loaded(None, topology=topology).check(topology)
    assert "'forward_peptide' take at" in str(told.value)


@pytest.mark.parametrize("sequence", ["ACE-A-NME", "ACE-PK-NME", "RGD", "YGGFM", "ACE-KLVFF-NH2"])
def test_peptides_of_any_length_are_whole_l_and_trans(sequence):
    prepared = prepare(sequence, seed=3)
    start = relaxed(prepared.topology, prepared.positions)
    generator = TrajectoryGenerator.load(topology=prepared.topology, device="cpu")
    (xyz,) = (np.concatenate([x[0] for x in generator.stream(prepared.topology, start, 98, seed=5)]),)
    for first, second in prepared.topology.bonds():
        i, j = first.index, second.index
        lengths = np.linalg.norm(xyz[:, i] - xyz[:, j], axis=-1)
        assert np.abs(lengths - np.linalg.norm(start[i] - start[j])).max() < 0.02, (first, second)
    chain = list(prepared.topology.residues())
    named = [{atom.name: atom.index for atom in residue.atoms()} for residue in chain]
    for before, here, residue in zip(named, named[1:], chain[1:], strict=False):
        after = here.get("CA", here.get("CH3", here.get("C")))
        if residue.name in ("PRO", "NH2") or after is None:
            continue
        points = [xyz[:, k] for k in (before.get("CA", before.get("CH3")), before["C"], here["N"], after)]
        omega = np.abs(dihedral(*points))
        assert omega.min() > np.radians(90), f"{residue.name} {residue.id}: a cis peptide bond"
    for atoms, residue in zip(named, chain, strict=True):
        if "CB" in atoms:
            a, b, c = (xyz[:, atoms[name]] - xyz[:, atoms["CA"]] for name in ("N", "C", "CB"))
            assert ((a * np.cross(b, c)).sum(-1) > 0).all(), f"{residue.name} {residue.id} is not L"


def dihedral(a, b, c, d):
    """Radian, (F,)."""
    u, v, w = b - a, c - b, d - c
    x = (np.cross(u, v) * np.cross(v, w)).sum(-1)
    y = (np.linalg.norm(v, axis=-1, keepdims=True) * u * np.cross(v, w)).sum(-1)
    return np.arctan2(y, x)
