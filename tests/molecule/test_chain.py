"""Reading OpenMM topologies: what is accepted, where its atoms go, and how the rest is refused."""

import mdtraj
import numpy as np
import openmm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from openmm import unit
from openmm.app import Modeller, Topology

from openmm_mdgen.errors import StateError, UnsupportedTopologyError
from openmm_mdgen.geometry import residues
from openmm_mdgen.md.structures import write_pdb
from openmm_mdgen.molecule.chain import ProteinChain
from structures import (
    ALL_RESIDUES,
    add_chain,
    atom_named,
    exchanged_methyls,
    heavy_names,
    ideal_structure,
    peptide,
    topology_of,
)

SEQUENCES = st.text(ALL_RESIDUES, min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(SEQUENCES)
def test_every_sequence_is_read_and_every_heavy_atom_is_in_the_slot_of_its_name(sequence):
    topology = topology_of(heavy_names(sequence))
    chain = ProteinChain.from_openmm(topology)
    assert chain.sequence == sequence
    assert [residues.RESTYPES[k] for k in chain.aatype] == list(sequence)
    names = np.array([atom.name for atom in topology.atoms()] + [""])
    expected = [residues.ATOM14_NAMES[residues.ONE_TO_THREE[letter]] for letter in sequence]
    np.testing.assert_array_equal(names[chain.atom14_index], expected)
    numbers = [atom.residue.index for atom in topology.atoms()]
    np.testing.assert_array_equal(chain.atom_residue, numbers)
    np.testing.assert_array_equal(chain.atom_indices, np.arange(topology.getNumAtoms()))


@settings(max_examples=20, deadline=None)
@given(SEQUENCES, st.integers(0, 10_000))
def test_positions_of_many_frames_become_slots_in_angstrom(sequence, seed):
    topology, positions = ideal_structure(sequence, seed)
    chain = ProteinChain.from_openmm(topology)
    frames = np.stack([positions, 2 * positions]).astype(np.float32)
    slots = chain.atom14(frames)
    assert slots.shape == (2, len(sequence), 14, 3) and slots.dtype == torch.float32
    np.testing.assert_array_equal(slots[1], chain.atom14(frames[1]))
    np.testing.assert_allclose(slots[0][chain.atom14_index >= 0], 10 * positions[:-1], rtol=1e-6)
    assert (slots[:, chain.atom14_index < 0] == 0).all()
    assert chain.atom14(positions).dtype == torch.float64


def test_hydrogens_move_with_the_substituents_of_their_heavy_atom():
    topology, _ = peptide(ALL_RESIDUES)
    chain = ProteinChain.from_openmm(topology)
    group = {}
    for atom, k in zip(topology.atoms(), chain.atom_group, strict=True):
        group[atom.residue.name, atom.name] = k
    expected = {
        ("ALA", "H2"): 0,  # the first residue has no phi
        ("CYS", "H"): 2,
        ("CYS", "HA"): 0,
        ("ALA", "HB1"): 0,
        ("ASP", "HB2"): 4,
        ("SER", "HG"): 4,
        ("THR", "HG1"): 4,
        ("THR", "HB"): 4,
        ("VAL", "HG23"): 4,
        ("ILE", "HG12"): 5,
        ("ILE", "HG21"): 4,
        ("PRO", "HG2"): 5,
        ("PRO", "HD2"): 5,
        ("LEU", "HD23"): 5,
        ("TYR", "HH"): 5,
        ("GLN", "HE21"): 6,
        ("MET", "HE1"): 6,
        ("LYS", "HE2"): 7,
        ("LYS", "HZ1"): 7,
        ("ARG", "HE"): 7,
        ("ARG", "HH22"): 7,
        ("TYR", "OXT"): 3,
    }
    assert {key: group[key] for key in expected} == expected


def test_water_ions_and_ligands_are_left_alone_wherever_they_stand():
    topology = Topology()
    water = ("HOH", [("O", "O"), ("H1", "H"), ("H2", "H")])
    add_chain(topology, [water, ("NA", [("NA", "Na")])], "W")
    add_chain(topology, heavy_names("ALV") + [("CA", [("CA", "Ca")]), water], "A")
    add_chain(topology, [("LIG", [("N", "N"), ("CA", "C"), ("C", "C"), ("P", "P")])], "L")
    topology.createStandardBonds()
    alone = ProteinChain.from_openmm(topology_of(heavy_names("ALV")))
    chain = ProteinChain.from_openmm(topology)
    assert chain.sequence == "ALV" and chain.n_atoms == topology.getNumAtoms()
    np.testing.assert_array_equal(chain.atom_indices, alone.atom_indices + 4)
    np.testing.assert_array_equal(chain.atom14_index, np.where(alone.atom14_index < 0, -1, alone.atom14_index + 4))


@pytest.mark.parametrize(
    "variant, letter",
    [(name, "H") for name in ("HIS", "HID", "HIE", "HIP", "HSD", "HSE", "HSP")]
    + [("CYX", "C"), ("CYM", "C"), ("ASH", "D"), ("GLH", "E"), ("LYN", "K")],
)
def test_names_of_protonation_variants_are_known(variant, letter):
    topology = topology_of(heavy_names(f"A{letter}G"))
    list(topology.residues())[1].name = variant
    assert ProteinChain.from_openmm(topology).sequence == f"A{letter}G"


def test_any_set_of_hydrogens_that_openmm_adds_is_taken():
    topology, positions = peptide("AHHHDEKCA")
    heavy = Modeller(topology, positions * unit.nanometer)
    heavy.delete([atom for atom in topology.atoms() if atom.element.symbol == "H"])
    variants = [None, "HID", "HIE", "HIP", "ASH", "GLH", "LYN", None, None]
    heavy.addHydrogens(variants=variants, platform=openmm.Platform.getPlatformByName("Reference"))
    chain = ProteinChain.from_openmm(heavy.topology)
    assert chain.sequence == "AHHHDEKCA" and len(chain.atom_indices) == heavy.topology.getNumAtoms()
    groups = {
        (atom.residue.index, atom.name): k for atom, k in zip(heavy.topology.atoms(), chain.atom_group, strict=True)
    }
    added = {(1, "HD1"): 5, (2, "HE2"): 5, (3, "HD1"): 5, (3, "HE2"): 5, (4, "HD2"): 5, (5, "HE2"): 6, (6, "HZ2"): 7}
    assert {key: groups[key] for key in added} == added


def test_a_chain_survives_the_way_through_mdtraj():
    topology, _ = peptide(ALL_RESIDUES)
    there = ProteinChain.from_openmm(topology)
    back = ProteinChain.from_openmm(mdtraj.Topology.from_openmm(topology).to_openmm())
    assert back.sequence == there.sequence
    np.testing.assert_array_equal(back.atom14_index, there.atom14_index)
    np.testing.assert_array_equal(back.atom_group, there.atom_group)


def test_methyl_groups_of_leucine_and_valine_are_in_slots_by_geometry_not_by_name():
    topology, positions = peptide("LVLV")
    exchanged = positions[exchanged_methyls(topology, [1, 2])]
    chain = ProteinChain.from_openmm(topology)
    right, wrong = chain.resolved(positions), chain.resolved(exchanged)
    np.testing.assert_array_equal(right.atom14_index, chain.atom14_index)
    assert [i for i in range(4) if (wrong.atom14_index[i] != chain.atom14_index[i]).any()] == [1, 2]
    np.testing.assert_array_equal(wrong.atom14(exchanged), right.atom14(positions))
    np.testing.assert_array_equal(wrong.resolved(exchanged).atom14_index, wrong.atom14_index)
    np.testing.assert_array_equal(wrong.atom_indices, chain.atom_indices)


@settings(max_examples=20, deadline=None)
@given(SEQUENCES, st.integers(0, 10_000))
def test_ideal_residues_keep_their_slots_and_their_mirror_images_are_refused(sequence, seed):
    topology, positions = ideal_structure(sequence, seed)
    chain = ProteinChain.from_openmm(topology)
    np.testing.assert_array_equal(chain.resolved(positions).atom14_index, chain.atom14_index)
    if set(sequence) != {"G"}:
        first = next(i for i, letter in enumerate(sequence) if letter != "G")
        with pytest.raises(UnsupportedTopologyError, match=rf"'A'.* {first + 1}, atom CA: mirrored"):
            chain.resolved(positions * [1, 1, -1])


def test_a_mirrored_side_chain_of_isoleucine_is_refused():
    topology, positions = ideal_structure("AI", 3)
    positions = positions.copy()
    first, second = (atom_named(topology, 1, name).index for name in ("CG1", "CG2"))
    positions[[first, second]] = positions[[second, first]]
    with pytest.raises(UnsupportedTopologyError, match="ILE 2, atom CB: mirrored"):
        ProteinChain.from_openmm(topology).resolved(positions)


def without(members, number, name):
    return [(r, [a for a in atoms if (i, a) != (number, name)]) for i, (r, atoms) in enumerate(members)]


def plus(members, number, *atoms):
    return [(r, [*old, *atoms] if i == number else old) for i, (r, old) in enumerate(members)]


def bonded(topology, first, second):
    topology.addBond(atom_named(topology, *first), atom_named(topology, *second))
    return topology


def two_chains():
    topology = topology_of(heavy_names("AG"))
    add_chain(topology, heavy_names("VV"), "B")
    topology.createStandardBonds()
    return topology


def with_sugar():
    topology = topology_of(heavy_names("ANA"))
    add_chain(topology, [("NAG", ["C1", "O5"])], "G")
    return bonded(topology, (1, "ND2"), (3, "C1"))


def with_gap():
    topology = topology_of(heavy_names("AGV"))
    links = {("C", "N")}
    topology._bonds = [
        b for b in topology.bonds() if b[0].residue is b[1].residue or (b[0].name, b[1].name) not in links
    ]
    return topology


AGV = heavy_names("AGV")
XYZ = ("XYZ", ["N", "CA", "C", "O", "CB", "CG", ("SE", "Se"), "CE"])
REFUSED = {
    "missing": (topology_of(without(AGV, 2, "CG2")), "chain 'A', residue VAL 3, atom CG2: missing"),
    "backbone missing": (topology_of(without(AGV, 0, "CA")), "chain 'A', residue ALA 1, atom CA: missing"),
    "phosphate": (topology_of(plus(heavy_names("ASG"), 1, "P", "O1P")), "residue SER 2, atom O1P, P: not a heavy atom"),
    "misnamed": (topology_of(plus(without(AGV, 0, "CB"), 0, "CX")), "residue ALA 1, atom CB: missing.*CX"),
    "all misnamed": (
        topology_of([AGV[0], ("GLY", ["N1", "C1", "C2", "O1"]), AGV[2]]),
        "residue GLY 2, atom N, CA, C: missing .*unexpected heavy atom C1, C2, N1: .* Give the atoms of GLY the "
        "names of the PDB, such as N, CA, C",
    ),
    "amino acid with a cap's name": (
        topology_of([AGV[0], ("NME", ["N", "CA", "C", "O", "CB"]), AGV[2]]),
        "residue NME 2, atoms N, CA, C: those of an amino acid, but NME is the name of a cap",
    ),
    "OXT inside": (
        topology_of(plus(AGV, 1, "OXT")),
        "GLY 2, atom OXT: a chain ends here, and a second one begins at chain 'A', residue VAL 3. The TER record .*"
        'is missing .*chains="each"',
    ),
    "extra particle": (topology_of(plus(AGV, 0, ("LP1", None))), "residue ALA 1, atom LP1: not a heavy atom"),
    "unknown": (topology_of([*heavy_names("AG")[:1], XYZ, *AGV]), "chain 'A', residue XYZ 2, atom CA: not one of"),
    "two chains": (two_chains(), "chains 'A', 'B' .*chain 'B', residue VAL 1"),
    "duplicate": (topology_of(plus(AGV, 0, "CB")), "chain 'A', residue ALA 1, atom CB: present more than once"),
    "empty": (topology_of([("HOH", ["O"])]), "empty chain"),
    "no bonds": (topology_of(AGV, bonds=False), r"residue ALA 1, atom C is not bonded.*createStandardBonds\(\)"),
    "hydrogen without bond": (
        topology_of(plus(AGV, 0, "H?")),
        r"ALA 1, atom H\?: hydrogen without.*createStandardBonds",
    ),
    "gap": (with_gap(), "residue ALA 1, atom C is not bonded to chain 'A', residue GLY 2, atom N.*findMissingResidues"),
    "sugar": (with_sugar(), "residue ASN 2, atom ND2 is bonded to chain 'G', residue NAG 1, atom C1"),
}


def test_bonds_that_close_a_chain_are_kept():
    bridged = ProteinChain.from_openmm(bonded(topology_of(heavy_names("CGGC")), (0, "SG"), (3, "SG")))
    assert bridged.disulfides == ((0, 3),) and not bridged.is_cyclic and not bridged.is_open
    ring = ProteinChain.from_openmm(bonded(topology_of(AGV), (0, "N"), (2, "C")))
    assert ring.is_cyclic and ring.disulfides == () and ring.torsion_mask[0, :2].all()
    assert ring.termini.tolist() == [1, 0, 2]  # both ends carry a peptide bond
    assert ProteinChain.from_openmm(topology_of(AGV)).is_open


@pytest.mark.parametrize("topology, message", REFUSED.values(), ids=REFUSED.keys())
def test_what_the_model_cannot_take_is_refused_by_name(topology, message):
    with pytest.raises(UnsupportedTopologyError, match=message):
        ProteinChain.from_openmm(topology)


def test_positions_that_are_not_finite_or_of_another_molecule_are_refused():
    topology, positions = ideal_structure("AGV", 0)
    chain = ProteinChain.from_openmm(topology)
    bad = positions.copy()
    bad[atom_named(topology, 1, "O").index] = np.nan
    with pytest.raises(StateError, match="residue GLY 2, atom index 8: its position is not finite"):
        chain.atom14(np.stack([positions, bad]))
    with pytest.raises(StateError, match="the topology has 17 atoms"):
        chain.atom14(positions[:-1])


def test_deuterium_counts_as_hydrogen():
    topology = bonded(topology_of(plus(heavy_names("AG"), 1, ("DN", "D"))), (1, "N"), (1, "DN"))
    assert ProteinChain.from_openmm(topology).atom_group[-1] == 2


def test_a_first_proline_that_mdtraj_read_keeps_its_amine_hydrogens(tmp_path):
    topology, positions = peptide("PG")
    write_pdb(tmp_path / "PG.pdb", topology, positions)
    lines = (tmp_path / "PG.pdb").read_text().splitlines(keepends=True)
    (tmp_path / "PG.pdb").write_text("".join(line for line in lines if not line.startswith("CONECT")))
    read = mdtraj.load_topology(str(tmp_path / "PG.pdb"))
    bonded = {atom.name for bond in read.bonds for atom in bond}
    assert not {"H2", "H3"} <= bonded, "mdtraj knows these bonds now: the special case can go"
    ours, theirs = (ProteinChain.from_openmm(t) for t in (topology, read.to_openmm()))
    np.testing.assert_array_equal(ours.atom_group, theirs.atom_group)
    assert {frozenset(bond) for bond in ours.bonds.tolist()} == {frozenset(bond) for bond in theirs.bonds.tolist()}
