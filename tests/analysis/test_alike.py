"""Trajectories of other programs: what both have is compared, residue by residue, whatever they are called."""

from pathlib import Path

import mdtraj
import numpy as np
import pytest

from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile, evaluate, torsion_distances
from openmm_mdgen.analysis.layout import Layout
from openmm_mdgen.analysis.sources import Opened, measure
from openmm_mdgen.analysis.torsions import torsion_atoms
from openmm_mdgen.errors import MDGenError
from torsion_walks import place, well_angles

CASES = Path(__file__).parent.parent / "data" / "cases"
OPTIONS = {"lagtime": 5.0, "n_clusters": 15, "n_states": 3, "definitions": Definitions.SOUND}


def wells(sequence, n_frames, seed):
    """Torsions of every residue that jump between two wells."""
    psi = {(k, "PSI"): well_angles(n_frames, (-0.7, 2.4), (0.05, 0.07), seed + k) for k in range(len(sequence) - 1)}
    chi = {
        (k, "CHI1"): well_angles(n_frames, (-1.0, 3.0), (0.1, 0.1), seed + 20 + k)
        for k, letter in enumerate(sequence)
        if letter not in "GA"
    }
    return psi | chi


@pytest.fixture(scope="module")
def generated():
    return place("AHIV", wells("AHIV", 300, 0))


@pytest.fixture(scope="module")
def reference():
    return place("AHIV", wells("AHIV", 500, 60))


@pytest.fixture(scope="module")
def same_names(generated, reference):
    return evaluate(generated, reference, **OPTIONS)


def renamed(trajectory, change):
    """The same frames, each residue of the topology changed."""
    topology = trajectory.topology.copy()
    for residue in topology.residues:
        change(residue)
    return mdtraj.Trajectory(trajectory.xyz, topology, time=trajectory.time)


def shifted(residue):
    residue.resSeq += 20


def inserted(residue):
    """Residues 52, 52A, 52B and 53."""
    residue.resSeq = 52 if residue.index < 3 else 53


def as_charmm(residue):
    residue.name = {"HIS": "HSD"}.get(residue.name, residue.name)
    atoms = {"H": "HN", "O": "OT1", "OXT": "OT2"} if residue.index == 3 else {"H": "HN"}
    atoms |= {"CD1": "CD"} if residue.name == "ILE" else {}
    for atom in residue.atoms:
        atom.name = atoms.get(atom.name, atom.name)


def as_gromacs(residue):
    residue.name = {"HIS": "HISE"}.get(residue.name, residue.name)
    atoms = {"O": "O1", "OXT": "O2"} if residue.index == 3 else {}
    atoms |= {"CD1": "CD"} if residue.name == "ILE" else {}
    for atom in residue.atoms:
        atom.name = atoms.get(atom.name, atom.name)


def as_amber(residue):
    residue.name = {0: "NALA", 1: "HIP", 3: "CVAL"}.get(residue.index, residue.name)


@pytest.mark.parametrize("change", [shifted, inserted, as_charmm, as_gromacs, as_amber], ids=lambda f: f.__name__)
def test_numbers_and_names_of_another_program_change_nothing(change, generated, reference, same_names):
    for ours, theirs in ((renamed(generated, change), reference), (generated, renamed(reference, change))):
        found = evaluate(ours, theirs, **OPTIONS)
        assert list(found.jsd.per_torsion.values()) == list(same_names.jsd.per_torsion.values())
        assert found.jsd.labelled() == same_names.jsd.labelled()
        assert found.validity.generated.valid == same_names.validity.generated.valid
        assert not found.left_out.torsions and len(set(found.jsd.per_torsion)) == len(same_names.jsd.per_torsion)
    assert set(torsion_distances(renamed(generated, change), reference)) == set(same_names.jsd.per_torsion)


def test_two_files_of_one_molecule_are_matched_by_place():
    one, plus20 = (TrajectoryFile(CASES / name, CASES / name) for name in ("one.pdb", "plus20.pdb"))
    found = evaluate(one, plus20)
    assert found.jsd.torsions_all == 0 and list(found.jsd.per_torsion)[0] == "PHI 0 LYS 22"
    assert not found.left_out.torsions


def test_insertion_codes_of_a_file_are_kept_apart(generated, tmp_path):
    generated[0].save_pdb(str(tmp_path / "plain.pdb"))
    lines = []
    for line in (tmp_path / "plain.pdb").read_text().splitlines():
        if line.startswith(("ATOM", "TER")):
            number = int(line[22:26])
            line = f"{line[:22]}{min(number, 2):4d}{' ' if number < 3 else 'AB'[number - 3]}{line[27:]}"
        lines.append(line)
    (tmp_path / "codes.pdb").write_text("\n".join(lines))
    plain, codes = (measure(TrajectoryFile(tmp_path / f, tmp_path / f)).torsions for f in ("plain.pdb", "codes.pdb"))
    assert len(codes.names) == len(plain.names) == len(set(codes.names))
    np.testing.assert_array_equal(codes.angles, plain.angles)


def test_a_file_without_bonds_has_those_of_its_residues(generated, reference, same_names, tmp_path):
    """A GRO file in GROMACS' names."""
    renamed(generated, as_gromacs).save_gro(str(tmp_path / "top.gro"))
    renamed(generated, as_gromacs).save_trr(str(tmp_path / "traj.trr"))
    found = evaluate(TrajectoryFile(tmp_path / "traj.trr", tmp_path / "top.gro"), reference, **OPTIONS)
    assert found.jsd.torsions_all == pytest.approx(same_names.jsd.torsions_all, abs=1e-6)
    counts = {name: bonds.counts.sum() for name, bonds in same_names.validity.generated.bonds.items()}
    assert {name: bonds.counts.sum() for name, bonds in found.validity.generated.bonds.items()} == counts


def write_psf(path, topology):
    """As CHARMM writes it."""
    lines = ["PSF", "", "       1 !NTITLE", " REMARKS", "", f"{topology.n_atoms:8d} !NATOM"]
    for a in topology.atoms:
        residue = f"{'PROA':4s} {a.residue.resSeq:<4d} {a.residue.name:4s} {a.name:4s} {'X':4s}"
        lines.append(f"{a.index + 1:8d} {residue} {0.0:14.6f} {a.element.mass:14.6f} {0:8d}")
    bonds = [f"{a.index + 1:8d}{b.index + 1:8d}" for a, b in topology.bonds]
    lines += ["", f"{len(bonds):8d} !NBOND: bonds", *("".join(bonds[k : k + 4]) for k in range(0, len(bonds), 4))]
    path.write_text("\n".join([*lines, "", "       0 !NTHETA: angles", ""]))


def test_a_topology_without_positions_is_enough(generated, reference, same_names, tmp_path):
    """A PSF file in CHARMM's names, which lists its bonds."""
    renamed(generated, as_charmm).save_trr(str(tmp_path / "traj.trr"))
    write_psf(tmp_path / "top.psf", renamed(generated, as_charmm).topology)
    found = evaluate(TrajectoryFile(tmp_path / "traj.trr", tmp_path / "top.psf"), reference, **OPTIONS)
    assert found.jsd.torsions_all == pytest.approx(same_names.jsd.torsions_all, abs=1e-6)
    assert found.validity.generated.valid == same_names.validity.generated.valid


def part_of(trajectory, what):
    return trajectory.atom_slice(trajectory.topology.select(what))


@pytest.mark.parametrize("side", ["generated", "reference"])
def test_a_backbone_alone_is_compared_in_phi_psi_and_omega(side, generated, reference, same_names):
    pair = {"generated": generated, "reference": reference}
    found = evaluate(**(pair | {side: part_of(pair[side], "backbone")}), **OPTIONS)
    backbone = {name: d for name, d in same_names.jsd.per_torsion.items() if name[:3] in ("PHI", "PSI")}
    assert found.jsd.per_torsion == backbone and found.jsd.torsions_backbone == same_names.jsd.torsions_backbone
    assert found.jsd.omega == same_names.jsd.omega and found.jsd.ca_dihedrals == same_names.jsd.ca_dihedrals
    assert "not all trajectories" in found.jsd.torsions_sidechain.why
    lacking = {name for name in same_names.jsd.per_torsion if name.startswith("CHI")}
    other = found.left_out.only_reference if side == "generated" else found.left_out.only_generated
    assert set(other) == lacking and set(found.left_out.torsions) == lacking
    assert max(found.validity.bond_distances.values()) < 0.03  # side chains are not held against the side that has them


def test_c_alpha_atoms_alone_are_compared_in_their_distances_angles_and_dihedrals(generated, reference, same_names):
    found = evaluate(part_of(generated, "name CA"), reference, **OPTIONS)
    for name in ("ca_distances", "ca_angles", "ca_dihedrals"):
        assert getattr(found.jsd, name) == getattr(same_names.jsd, name)
    assert found.jsd.ca_angles > 0 and found.jsd.per_torsion == {"CA 0 ALA 1": found.jsd.ca_dihedrals}
    for name in ("torsions_backbone", "torsions_all", "omega"):
        assert isinstance(getattr(found.jsd, name), NotDefined)
    assert found.jsd.tica_0 > 0 and found.relaxation["CA 0 ALA 1"].reference > 0
    assert len(found.left_out.only_reference) == len(same_names.jsd.per_torsion)


def test_c_alpha_geometry_is_that_of_its_definition(reference):
    from openmm_mdgen.analysis.coarse import coarse_atoms
    from openmm_mdgen.analysis.distances import angle_histogram

    opened = Opened.of(reference)
    alphas = [next(a.index for a in residue.atoms if a.name == "CA") for residue in reference.topology.residues]
    atoms = coarse_atoms(opened.layout)
    assert list(atoms["ca_distances"].values()) == list(zip(alphas, alphas[1:], strict=False))
    assert list(atoms["ca_angles"].values()) == list(zip(alphas, alphas[1:], alphas[2:], strict=False))
    assert list(atoms["ca_dihedrals"].values()) == [tuple(alphas)]
    counts = opened.measure().coarse
    u, v, w = (reference.xyz[:, b] - reference.xyz[:, a] for a, b in zip(alphas, alphas[1:], strict=False))
    u, v, w = u.astype(float), v.astype(float), w.astype(float)
    sine = (np.cross(np.cross(u, v), np.cross(v, w)) * v).sum(-1) / np.linalg.norm(v, axis=-1)
    dihedral = np.arctan2(sine, (np.cross(u, v) * np.cross(v, w)).sum(-1))
    assert np.abs(counts["ca_dihedrals"]["0 ALA 1"] - angle_histogram(dihedral)).sum() <= 4  # at edges of bins
    angle = np.arccos((-u * v).sum(-1) / np.linalg.norm(u, axis=-1) / np.linalg.norm(v, axis=-1))
    assert np.abs(counts["ca_angles"]["0 ALA 1"] - np.histogram(angle, 100, (0, np.pi))[0]).sum() <= 4
    assert all(c[0] + c[-1] == len(reference) for c in counts["omega"].values())  # trans, at the ends of the circle


@pytest.mark.parametrize("numbers", ["left out", "consecutive"])
def test_nothing_is_measured_across_a_hole(numbers):
    whole = place("AKLVG", wells("AKLVG", 120, 5))
    cut = part_of(whole, "resid 0 1 3 4")
    if numbers == "consecutive":
        cut = renamed(cut, lambda residue: setattr(residue, "resSeq", residue.index + 1))
    found = evaluate(cut, cut, **OPTIONS)
    kinds = [(name.split()[0], name.split()[2]) for name in found.jsd.per_torsion if not name.startswith("CHI")]
    assert kinds == [("PHI", "LYS"), ("PSI", "ALA"), ("PHI", "GLY"), ("PSI", "VAL")]
    assert [hole.split()[::3] for hole in found.left_out.holes] == [["LYS", "VAL"]] or "LYS 2" in found.left_out.holes[
        0
    ]
    assert found.validity.generated.without_break == 1
    assert found.validity.generated.bonds["C-N"].counts[-1] == 0  # no bond that is as long as the hole


def test_two_chains_in_one_are_not_bonded_to_each_other(tmp_path):
    one = place("AKA", wells("AKA", 60, 3))
    away = mdtraj.Trajectory(one.xyz + [3, 0, 0], one.topology, time=one.time)
    both = mdtraj.Topology()
    chain = both.add_chain()
    for trajectory in (one, away):
        for residue in trajectory.topology.residues:
            copy = both.add_residue(residue.name, chain, residue.resSeq)
            for atom in residue.atoms:
                both.add_atom(atom.name, atom.element, copy)
    joined = mdtraj.Trajectory(np.concatenate([one.xyz, away.xyz], axis=1), both, time=one.time)
    names = measure(joined).torsions.names
    assert len(names) == 2 * len(measure(one).torsions.names) and len(set(names)) == len(names)
    assert Opened.of(joined).layout.holes == (("2", "3"),)


@pytest.mark.parametrize("patched", [False, True], ids=["residues", "CHARMM's patches"])
def test_caps_define_phi_of_the_first_residue_and_psi_of_the_last(patched):
    """ACE-AA-NME, built from AAAA: of its first and last residue the atoms of caps are left."""
    whole = place("AAAA", wells("AAAA", 40, 0))
    names = {0: {"CA": "CAY", "C": "CY", "O": "OY"}, 3: {"N": "NT", "CA": "CAT"}}
    if not patched:
        names = {0: {"CA": "CH3", "C": "C", "O": "O"}, 3: {"N": "N", "CA": "C"}}
    topology = mdtraj.Topology()
    chain, kept, residues = topology.add_chain(), [], {}
    order = [1, 0, 2, 3] if patched else [0, 1, 2, 3]  # patched atoms belong to the residue beside them
    for index in order:
        owner = {0: 1, 3: 2}.get(index, index) if patched else index
        if owner not in residues:
            name = {0: "ACE", 3: "NME"}.get(owner, "ALA")
            residues[owner] = topology.add_residue(name, chain, owner + 1)
        for atom in whole.topology.residue(index).atoms:
            if atom.element.symbol != "H" and (index in (1, 2) or atom.name in names[index]):
                topology.add_atom(names.get(index, {}).get(atom.name, atom.name), atom.element, residues[owner])
                kept.append(atom.index)
    capped = mdtraj.Trajectory(whole.xyz[:, kept], topology, time=whole.time)
    found, expected = measure(capped), measure(whole)
    kinds = [name.split()[0] for name in found.torsions.names]
    assert kinds == ["PHI", "PSI", "PHI", "PSI"]
    of = expected.torsions
    for k, name in enumerate(("PHI 0 ALA 2", "PSI 0 ALA 2", "PHI 0 ALA 3", "PSI 0 ALA 3")):
        np.testing.assert_allclose(np.exp(1j * found.torsions.angles[:, k]), np.exp(1j * of[name]), atol=1e-5)
    assert len(found.coarse["omega"]) == 3 and found.geometry.without_break == 1
    assert found.geometry.without_clash == measure(part_of(whole, "backbone or name CB")).geometry.without_clash == 1


def test_a_cap_that_only_one_side_has_is_left_out(reference):
    whole = place("GAHIV", wells("GAHIV", 80, 0))
    acetyl = part_of(whole, "resid 1 to 4 or (resid 0 and name CA C O)")
    acetyl.topology.residue(0).name = "ACE"
    for atom in acetyl.topology.residue(0).atoms:
        atom.name = {"CA": "CH3"}.get(atom.name, atom.name)
    found = evaluate(acetyl, reference, **OPTIONS)
    assert found.left_out.only_generated == ("PHI 0 ALA 1",)
    assert set(found.jsd.per_torsion) == set(measure(reference).torsions.names)


def test_other_sequences_are_refused_by_their_first_difference(generated):
    other = place("AHGV", {(0, "PSI"): np.zeros(3)})
    with pytest.raises(
        MDGenError, match="different molecules: residue 3 along the chain is ILE in .* .ILE 3. and GLY in the"
    ):
        evaluate(generated, other)
    longer = place("AHIVG", {(0, "PSI"): np.zeros(3)})
    with pytest.raises(MDGenError, match="has 4 residues, and .* has 5"):
        evaluate(generated, longer)


def test_solvent_ions_and_ligands_are_no_residues(generated):
    wet = mdtraj.Topology()
    for name, atom, element in (("SOL", "OW", "O"), ("CAL", "CAL", "Ca"), ("CA", "CA", "Ca"), ("NA", "NA", "Na")):
        wet.add_atom(atom, mdtraj.element.get_by_symbol(element), wet.add_residue(name, wet.add_chain()))
    n = generated.n_frames
    joined = generated.stack(mdtraj.Trajectory(np.full((n, 4, 3), 4.0), wet, time=generated.time))
    assert measure(joined).torsions.names == measure(generated).torsions.names
    assert Opened.of(joined).layout.holes == ()


def test_torsions_of_a_layout_are_those_of_mdtraj(reference):
    """Where no cap and no hole is, in the order of the published names."""
    found = torsion_atoms(Layout.of(reference.topology))
    expected = {
        kind: [list(atoms) for atoms in getattr(mdtraj, f"compute_{kind.lower()}")(reference[:1])[0]]
        for kind in ("PHI", "PSI", "CHI1", "CHI2")
    }
    for kind, atoms in expected.items():
        assert [list(found[name]) for name in found if name.startswith(kind)] == atoms
