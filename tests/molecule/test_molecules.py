"""Residues under foreign names, modified residues and caps within residues: their bonds and rigid groups."""

import numpy as np
import pytest

import spellings as sp
from kinds_in_scripts import read
from openmm_mdgen.geometry.atom14 import backbone_rigids
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate
from structures import capped_peptide


def taken(topology, positions):
    """The chain, if frames can be generated from these positions; all its atoms are placed as they were."""
    chain = ProteinChain.from_openmm(topology)
    positions = chain.usable("positions", positions)
    template = AllAtomTemplate.measure(chain, positions)
    placed = template.place(backbone_rigids(template.chain.atom14(positions)), template.torsions).numpy()
    np.testing.assert_allclose(placed, positions[chain.atom_indices], atol=1e-6)
    return chain


def bonds_of(chain):
    return {frozenset(bond) for bond in chain.bonds.tolist()}


def assert_alike(one, other):
    assert (one.sequence, one.n_cap, one.c_cap) == (other.sequence, other.n_cap, other.c_cap)
    np.testing.assert_array_equal(one.atom_group, other.atom_group)
    np.testing.assert_array_equal(one.atom14_index, other.atom14_index)
    np.testing.assert_array_equal(one.before_index, other.before_index)
    assert bonds_of(one) == bonds_of(other)


@pytest.mark.parametrize("caps", ["ACE-AKL-NME", "ACE-AKL-NH2"])
def test_caps_within_residues_are_those_beside_them_with_bonds_or_without(caps):
    beside = taken(*read(sp.peptide(caps)))
    assert_alike(taken(*read(sp.caps_within(caps))), beside)  # OpenMM takes HT1 for H of the residue, and bonds it so
    topology, positions = sp.patched(caps)
    assert_alike(taken(topology, positions), beside)


@pytest.mark.parametrize(
    ("form", "foreign"),
    [("HID", "HISD"), ("HIE", "HISE"), ("HIP", "HISH"), ("ASH", "ASPP"), ("GLH", "GLUP"), ("LYN", "LSN")],
)
def test_a_residue_under_a_foreign_name_has_the_bonds_and_groups_of_its_form(form, foreign):
    topology, positions = read(sp.with_form(form, foreign))
    inner = list(topology.residues())[1]
    assert not list(inner.internal_bonds()), "OpenMM knows the name now: the special case can go"
    assert_alike(taken(topology, positions), taken(*read(sp.with_form(form, form))))


def test_neighbours_under_foreign_names_are_bonded():
    text = sp.renamed(sp.renamed(sp.peptide("AHHV"), 2, "HISE"), 3, "HISE")
    assert_alike(taken(*read(text)), taken(*read(sp.peptide("AHHV"))))


@pytest.mark.parametrize("charmm", [sp.charmm("GIKSLEMV"), sp.gromacs("GIKSLEMV"), sp.amber("GIKSLEMV")])
def test_atoms_under_the_names_of_a_program_are_in_the_slots_of_the_pdbs(charmm):
    theirs, ours = taken(*read(charmm)), taken(*read(sp.peptide("GIKSLEMV")))
    assert theirs.sequence == ours.sequence and len(theirs.bonds) == len(ours.bonds)
    assert sorted(theirs.atom_group) == sorted(ours.atom_group)


@pytest.mark.parametrize(("name", "group"), [("SEP", 4), ("TPO", 4), ("PTR", 5), ("HYP", 5), ("MLY", 7), ("KCX", 7)])
def test_what_extends_a_residue_turns_with_the_atom_it_hangs_on(name, group):
    row = next(row for row in sp.MODIFIED if row[0] == name)
    topology, positions = read(sp.modified(*row))
    chain = taken(topology, positions)
    index = {atom.name: atom.index for atom in topology.atoms() if atom.residue.index == 1}
    extra, carriers = (np.array([index[atom] for atom in atoms]) for atoms in (row[3], row[3].values()))
    assert (chain.atom_group[extra] == group).all()
    template = AllAtomTemplate.measure(chain, positions)
    turned = template.torsions.clone()
    turned[1, group - 1] *= -1  # the torsion that turns this group, by half a circle
    before, after = (template.place(template.chain_rigids(x), x).numpy() for x in (template.torsions, turned))
    lengths = [np.linalg.norm(x[extra] - x[carriers], axis=-1) for x in (before, after)]
    np.testing.assert_allclose(*lengths, atol=1e-6)
    assert np.linalg.norm(before[extra] - after[extra], axis=-1).min() > 0.01, "they move"


def test_every_chain_can_be_read_by_itself():
    topology, _ = read(sp.two())
    first, second = ProteinChain.each(topology)
    assert first.sequence == second.sequence == "AKLV" and first.n_atoms == topology.getNumAtoms()
    assert not set(first.atom_indices) & set(second.atom_indices)
    (only,) = ProteinChain.each(capped_peptide("AG")[0])
    assert only.n_cap == "ACE"
