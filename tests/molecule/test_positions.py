"""What a user may give as positions, and how the rest is refused."""

import io
from pathlib import Path

import mdtraj
import numpy as np
import pytest
from openmm import Vec3, app, unit

from openmm_mdgen.errors import MDGenError, StateError, UnsupportedTopologyError
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.positions import BondedAtoms, as_topology, box_of, in_nanometre, usable
from pdb_texts import ring
from structures import add_chain, atom_named, capped_peptide, peptide

CGGC = Path(__file__).parent.parent / "data" / "cases" / "cggc.pdb"
TRICLINIC = np.array([[3.0, 0, 0], [0.9, 2.8, 0], [-0.8, 1.1, 2.6]])  # nm, in reduced form


def chain_and_positions(sequence="AKLV"):
    topology, positions = peptide(sequence)
    return ProteinChain.from_openmm(topology), positions


def in_many_forms(positions):
    """The same positions, nm, as quantities and arrays of other kinds."""
    angstrom = 10 * positions
    return {
        "numpy in nm": positions,
        "lists": positions.tolist(),
        "float32": positions.astype(np.float32),
        "quantity in nm": positions * unit.nanometer,
        "quantity in angstrom": angstrom * unit.angstrom,
        "quantity in bohr": unit.Quantity(positions, unit.nanometer).in_units_of(unit.bohr),
        "quantity of Vec3": [Vec3(*row) for row in positions] * unit.nanometer,
        "list of quantities": [Vec3(*row) * unit.angstrom for row in angstrom],
    }


@pytest.mark.parametrize("form", in_many_forms(np.zeros((2, 3))))
def test_quantities_of_any_length_and_plain_nanometres_are_taken(form):
    chain, positions = chain_and_positions()
    found = chain.usable("positions", in_many_forms(positions)[form])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, positions, atol=1e-6 if form == "float32" else 1e-9)


class Pint:
    """What is asked of a quantity of pint or OpenFF."""

    def __init__(self, angstrom):
        self.angstrom = angstrom

    def m_as(self, name):
        assert name == "nanometer"
        return self.angstrom / 10


def test_quantities_of_pint_are_taken():
    positions = peptide("AG")[1]
    np.testing.assert_allclose(in_nanometre("positions", Pint(10 * positions)), positions)


def test_intact_positions_come_back_as_they_are():
    chain, positions = chain_and_positions()
    assert chain.usable("positions", positions) is positions
    assert chain.usable("positions", positions, TRICLINIC) is positions


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (lambda x: x * unit.kelvin, MDGenError, "unit kelvin, which is no length"),
        (lambda x: "AKLV", MDGenError, "cannot be read as numbers"),
        (lambda x: x[:-1], StateError, "pass the positions of every atom"),
        (lambda x: x.T, StateError, "wrong way round"),
        (lambda x: x.ravel(), StateError, r"reshape\(-1, 3\)"),
        (lambda x: 10 * x, MDGenError, "1.20 nm long, ten times what they should be, so the numbers are in ångström"),
        (lambda x: x / 10, MDGenError, "too short"),
        (
            lambda x: np.where(np.arange(len(x))[:, None] == 24, np.nan, x),
            StateError,
            "LYS 2, atom .*position is not",
        ),
        (lambda x: x * [1, 1, -1], UnsupportedTopologyError, "ALA 1, atom CA: mirrored"),
    ],
    ids="unit text short turned flat angstrom small nan mirrored".split(),
)
def test_positions_that_cannot_be_used_are_refused_by_what_is_wrong(spoil, error, says):
    chain, positions = chain_and_positions()
    with pytest.raises(error, match=says):
        chain.usable("positions", spoil(positions))


@pytest.mark.parametrize("box", [3 * np.eye(3), TRICLINIC], ids=["cube", "triclinic"])
@pytest.mark.parametrize("how", ["atoms", "residues"])
def test_molecules_torn_over_a_box_are_made_whole_where_the_box_is_known(box, how):
    topology, positions = capped_peptide("AKLV")
    chain = ProteinChain.from_openmm(topology)
    positions = positions - positions.mean(axis=0)
    groups = np.arange(len(positions)) if how == "atoms" else np.array([a.residue.index for a in topology.atoms()])
    images = np.random.default_rng(0).integers(-1, 2, size=(groups.max() + 1, 3))[groups]
    images[0] = 0
    torn = positions + images @ box
    with pytest.raises(StateError, match="image_molecules|split across a periodic box"):
        chain.usable("positions", torn)
    np.testing.assert_allclose(chain.usable("positions", torn, box), positions, atol=1e-9)
    both = usable("frames", chain, np.stack([positions, torn]), box)
    np.testing.assert_allclose(both, np.stack([positions, positions]), atol=1e-9)


def test_two_chains_stay_where_they_are_when_one_is_made_whole():
    topology, positions = peptide("AG")
    both = type(topology)()
    for number in range(2):
        members = [(r.name, [(a.name, a.element.symbol) for a in r.atoms()]) for r in topology.residues()]
        add_chain(both, members, "AB"[number])
    both.createStandardBonds()
    box, n = 3 * np.eye(3), len(positions)
    given = np.concatenate([positions, positions + 1.0])
    given[n + 3] += box[0]
    found = usable("positions", BondedAtoms(both), given, box)
    np.testing.assert_allclose(found[:n], positions, atol=1e-12)
    np.testing.assert_allclose(found[n:], positions + 1.0, atol=1e-12)


def test_a_bond_that_is_torn_inside_the_box_is_named():
    chain, positions = chain_and_positions()
    positions = positions.copy()
    positions[20] += 0.4
    with pytest.raises(StateError, match="LYS 2, atom .*are bonded, but .*not over the periodic box"):
        chain.usable("positions", positions, 5 * np.eye(3))
    with pytest.raises(StateError, match="frame 1: .*image_molecules"):
        usable("the trajectory", chain, np.stack([peptide("AKLV")[1], positions]))


def test_a_gap_in_the_chain_is_told_by_its_two_atoms_and_their_distance():
    topology, positions = peptide("AKLV")
    positions = positions.copy()
    positions[[a.index for a in topology.atoms() if a.residue.index >= 2]] += 0.5
    says = "LYS 2, atom C and chain 'A', residue LEU 3, atom N are 0..* nm apart: residues are missing"
    with pytest.raises(StateError, match=says):
        ProteinChain.from_openmm(topology).usable("positions", positions)


def test_atoms_as_near_as_bonded_ones_that_carry_what_those_do_not_are_refused():
    topology, positions = peptide("CGGC")
    first, second = (atom_named(topology, k, "SG").index for k in (0, 3))
    moved = positions.copy()
    moved[second] = positions[first] + [0.15, 0.13, 0.0]
    chain = ProteinChain.from_openmm(topology)
    says = "CYS 1, atom SG.*CYS 4, atom SG.*0.20 nm apart, as in a disulfide, but SG of .*CYS 1 carries a hydrogen"
    with pytest.raises(UnsupportedTopologyError, match=says):
        chain.resolved(moved)
    end = atom_named(topology, 3, "C").index
    moved = positions.copy()
    moved[end] = positions[atom_named(topology, 0, "N").index] + [0.133, 0, 0]
    says = "atom N.*atom C.*0.13 nm apart, as in a chain closed head to tail, but N carries 3 hydrogens"
    with pytest.raises(UnsupportedTopologyError, match=says):
        chain.resolved(moved)
    assert chain.resolved(positions).is_open


def test_bonds_that_positions_show_and_the_topology_does_not_are_made():
    pdb = app.PDBFile(io.StringIO(ring()))  # without CONECT, OXT and hydrogens
    chain = ProteinChain.from_openmm(pdb.topology)
    assert chain.is_open
    found = chain.resolved(np.array(pdb.positions.value_in_unit(unit.nanometer)))
    assert found.is_cyclic and len(found.bonds) == len(chain.bonds) + 1
    text = CGGC.read_text().splitlines(keepends=True)
    pdb = app.PDBFile(io.StringIO("".join(line for line in text if not line.startswith("CONECT"))))
    topology = pdb.topology
    bare = app.Topology()  # without the bond that OpenMM itself makes of two sulfurs
    copies = {}
    for residue in topology.residues():
        own = bare.addResidue(residue.name, next(bare.chains(), None) or bare.addChain("A"), residue.id)
        copies.update({atom: bare.addAtom(atom.name, atom.element, own) for atom in residue.atoms()})
    for one, other in topology.bonds():
        if {one.name, other.name} != {"SG"}:
            bare.addBond(copies[one], copies[other])
    chain = ProteinChain.from_openmm(bare)
    found = chain.resolved(np.array(pdb.positions.value_in_unit(unit.nanometer)))
    assert chain.is_open and found.disulfides == ((0, 3),) and len(found.bonds) == len(chain.bonds) + 1


def test_topologies_of_mdtraj_are_taken_and_other_things_named():
    topology = peptide("AG")[0]
    assert as_topology(topology) is topology
    assert as_topology(mdtraj.Topology.from_openmm(topology)).getNumAtoms() == topology.getNumAtoms()
    for other in ("AG.pdb", None, 3):
        with pytest.raises(MDGenError, match="give an openmm.app.Topology"):
            as_topology(other)


def test_the_box_is_that_of_the_topology():
    topology = mdtraj.Topology.from_openmm(peptide("AG")[0]).to_openmm()
    assert box_of(topology) is None
    topology.setPeriodicBoxVectors((10 * TRICLINIC) * unit.angstrom)
    np.testing.assert_allclose(box_of(topology), TRICLINIC)
