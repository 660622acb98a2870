"""Terminal caps: where their atoms go, what they define, and that real MD of capped peptides is given back."""

import mdtraj
import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.geometry import residues
from openmm_mdgen.md.systems import force_field, langevin
from openmm_mdgen.model.tokens import Frames, Tokenizer
from openmm_mdgen.molecule.blending import blended
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.clashes import relieve_clashes
from openmm_mdgen.molecule.template import AllAtomTemplate
from structures import add_chain, atom_named, capped_peptide, dihedrals, heavy_names, random_torsions, topology_of

CAPS = [("ACE", "NME"), ("ACE", None), (None, "NME"), ("ACE", "NH2"), ("FOR", "NME"), ("FOR", "NH2")]


def molecular_dynamics(sequence, n_frames, seed=3):
    """Topology, and frames (T, N, 3) nm of a peptide with ACE and NME in amber14 and GBn2, 350 K, 0.2 ps apart."""
    topology, positions = capped_peptide(sequence)
    system = force_field().createSystem(topology, constraints=app.HBonds, hydrogenMass=3 * unit.amu)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, integrator := langevin(seed=seed), platform, {"Threads": "1"})
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=200)
    context.setVelocitiesToTemperature(350, seed)
    frames = []
    for _ in range(n_frames):
        integrator.step(50)
        frames.append(context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    return topology, np.stack(frames)


def frames_of(chain, positions):
    before = chain.before(positions)
    return Frames.from_atom14(
        torch.from_numpy(chain.aatype)[None],
        chain.atom14(positions)[None],
        torch.from_numpy(chain.termini)[None],
        None if before is None else before[None],
    )


def token_torsions(topology):
    """Atom quadruples of all torsions that tokens hold, by the atoms' names."""
    members = [{atom.name: atom.index for atom in residue.atoms()} for residue in topology.residues()]
    names = [residue.name for residue in topology.residues()]
    found = []
    for i in range(1, len(members) - 1):
        before, own = members[i - 1], members[i]
        ca_before = before["CH3"] if names[i - 1] == "ACE" else before["CA"]
        found += [
            (ca_before, before["C"], own["N"], own["CA"]),
            (before["C"], own["N"], own["CA"], own["C"]),
            (own["N"], own["CA"], own["C"], own["O"]),
        ]
        found += [tuple(own[name] for name in chi) for chi in residues.CHI_ATOMS[names[i]]]
    return found


@pytest.mark.parametrize("sequence", ["A", "WV", "PGL", "AKLVE", "KFRSTHPDMI"])
def test_real_md_of_a_capped_peptide_goes_to_tokens_and_back(sequence):
    topology, positions = molecular_dynamics(sequence, 6)
    chain = ProteinChain.from_openmm(topology).resolved(positions[0])
    assert chain.n_cap == "ACE" and chain.c_cap == "NME" and len(chain.atom_indices) == topology.getNumAtoms()
    template = AllAtomTemplate.measure(chain, positions[0])
    frames, tokenizer = frames_of(chain, positions), Tokenizer()
    rigids, torsions = tokenizer.decode(tokenizer.encode(frames), frames.rigids[:, 0])
    back = template.place(template.chain_rigids(torsions[0]), torsions[0]).numpy()

    quadruples = token_torsions(topology)
    away = dihedrals(back, quadruples) - dihedrals(positions, quadruples)
    assert np.abs(np.sin(away / 2)).max() < 0.5e-4
    backbone = dihedrals(positions, quadruples[:3])
    assert np.ptp(backbone, axis=0).min() > 1e-3, "these torsions move in the MD"

    # Within each cap, and from it to the chain, lengths and angles are the template's.
    for pairs in cap_pairs(topology):
        there = np.linalg.norm(back[:, pairs[:, 0]] - back[:, pairs[:, 1]], axis=-1)
        own = np.linalg.norm(positions[0, pairs[:, 0]] - positions[0, pairs[:, 1]], axis=-1)
        np.testing.assert_allclose(there, np.broadcast_to(own, there.shape), atol=1e-7)
    if sequence == "A":
        with_rigids = template.place(rigids[0], torsions[0]).numpy()
        np.testing.assert_allclose(dihedrals(with_rigids, quadruples), dihedrals(back, quadruples), atol=1e-6)


def cap_pairs(topology):
    """Atom pairs one and two bonds apart, all of whose bonds have an end in a cap."""
    around = {}
    for a, b in topology.bonds():
        if {a.residue.name, b.residue.name} & {"ACE", "NME", "FOR", "NH2"}:
            around.setdefault(a.index, []).append(b.index)
            around.setdefault(b.index, []).append(a.index)
    near = [(a, b) for a, others in around.items() for b in others if a < b]
    far = [(b, c) for others in around.values() for b in others for c in others if b < c]
    return np.array(near), np.array(far)


@pytest.mark.parametrize("n_cap, c_cap", CAPS)
def test_every_cap_is_placed_as_it_was_and_its_turns_are_the_chains(n_cap, c_cap):
    topology, positions = capped_peptide("AL", n_cap, c_cap)
    chain = ProteinChain.from_openmm(topology)
    assert (chain.n_cap, chain.c_cap) == (n_cap, c_cap)
    np.testing.assert_array_equal(chain.termini, [int(n_cap is not None), 2 * int(c_cap is not None)])
    np.testing.assert_array_equal(chain.atom_indices, np.arange(topology.getNumAtoms()))
    np.testing.assert_array_equal(chain.torsion_mask[:, :3], [[n_cap is not None] * 2 + [True], [True] * 3])
    template = AllAtomTemplate.measure(chain, positions)
    frames = frames_of(chain, positions[None])
    given_back = template.place(frames.rigids[0, 0], frames.torsions[0, 0])
    np.testing.assert_allclose(given_back, positions, atol=1e-7)

    asked = random_torsions(5, 2, 1)
    placed = template.place(template.chain_rigids(asked), asked).numpy()
    for pairs in cap_pairs(topology):
        there = np.linalg.norm(placed[:, pairs[:, 0]] - placed[:, pairs[:, 1]], axis=-1)
        own = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=-1)
        np.testing.assert_allclose(there, np.broadcast_to(own, there.shape), atol=1e-7)
    found = frames_of(chain, placed)
    defined = (chain.torsion_mask > 0)[None]
    np.testing.assert_allclose((found.torsions[0] - asked)[defined.expand(5, 2, 7)], 0, atol=1e-6)


def test_omega_of_a_formyl_group_is_that_of_the_acetyl_group_it_resembles():
    turned = []
    for n_cap in ("ACE", "FOR"):
        topology, positions = capped_peptide("AL", n_cap, "NME")
        turned.append(frames_of(ProteinChain.from_openmm(topology), positions[None]).torsions[0, 0, 0])
    np.testing.assert_allclose(turned[0][1], turned[1][1], atol=1e-6)  # phi
    assert torch.dot(turned[0][0], turned[1][0]) > 0.99 and turned[1][0][1] < -0.9  # omega, trans


def test_atoms_of_caps_are_known_by_element_and_bond_whatever_their_names():
    topology, _ = capped_peptide("AL")
    usual = ProteinChain.from_openmm(topology)
    other = mdtraj.Topology.from_openmm(topology).to_openmm()
    names = {"CH3": "CAY", "C": "CY", "O": "OY", "N": "NT"}
    for residue in other.residues():
        if residue.name in ("ACE", "NME"):
            for number, atom in enumerate(residue.atoms()):
                atom.name = names.get(atom.name, f"X{number}")
    found = ProteinChain.from_openmm(other)
    np.testing.assert_array_equal(found.atom_group, usual.atom_group)
    np.testing.assert_array_equal(found.before_index, usual.before_index)


@pytest.mark.parametrize("name", ["NME", "NMA"])
def test_bonds_within_a_cap_that_a_reader_did_not_make_are_added(name):
    members = [("ACE", ["CH3", "C", "O", "HH31", "HH32", "HH33"]), *without_oxt("AV"), (name, ["N", "CH3", "H", "HA"])]
    topology = topology_of(members, bonds=False)
    topology.createStandardBonds()
    last = list(topology.residues())[-1]
    if name == "NMA":  # a name of which OpenMM knows no bonds
        topology.addBond(atom_named(topology, 2, "C"), next(last.atoms()))
    chain = ProteinChain.from_openmm(topology)
    bonded = {frozenset((chain_atom(topology, a), chain_atom(topology, b))) for a, b in chain.bonds.tolist()}
    expected = [("CH3", "C"), ("C", "O"), ("CH3", "HH31"), ("CH3", "HH33")]
    assert {frozenset({(0, a), (0, b)}) for a, b in expected} <= bonded
    assert {frozenset({(3, "N"), (3, b)}) for b in ("CH3", "H")} | {frozenset({(3, "CH3"), (3, "HA")})} <= bonded
    assert len(chain.bonds) == len(bonded)


def chain_atom(topology, index):
    atom = list(topology.atoms())[index]
    return atom.residue.index, atom.name


def without_oxt(sequence):
    members = heavy_names(sequence)
    members[-1][1].remove("OXT")
    return members


ACE, NME = ("ACE", ["CH3", "C", "O"]), ("NME", ["N", "C"])
REFUSED = {
    "wrong end": (topology_of([("NME", ["C", "N"]), *without_oxt("AV")]), "residue NME 1: .*wrong end"),
    "incomplete": (topology_of([("ACE", ["CH3", "C"]), *heavy_names("AV")]), "ACE 1, atoms CH3, C: the cap ACE has"),
    "inside": (
        topology_of([*without_oxt("AV"), NME, ACE, *heavy_names("AV")]),
        "residue NME 3: a chain ends here, and a second one begins at .*ACE 4",
    ),
    "OXT too": (
        topology_of([*heavy_names("AV"), NME]),
        "residue VAL 2, atom OXT: not a heavy atom of a residue that carries a cap",
    ),
    "loose": (topology_of([ACE, *heavy_names("AV")], bonds=False), "createStandardBonds"),
}


@pytest.mark.parametrize("topology, message", REFUSED.values(), ids=REFUSED.keys())
def test_caps_that_are_not_where_or_what_they_should_be_are_refused(topology, message):
    with pytest.raises(UnsupportedTopologyError, match=message):
        ProteinChain.from_openmm(topology)


def test_a_cap_that_is_not_bonded_to_the_chain_is_refused():
    topology = topology_of([ACE, *heavy_names("AV")])
    topology._bonds = [bond for bond in topology.bonds() if {atom.residue.name for atom in bond} != {"ACE", "ALA"}]
    with pytest.raises(UnsupportedTopologyError, match="ACE 1, atom C is not bonded to .*ALA 2, atom N"):
        ProteinChain.from_openmm(topology)


def test_water_before_a_capped_chain_does_not_matter():
    topology = topology_of([("HOH", ["O"])], "W")
    add_chain(topology, [ACE, *without_oxt("AV"), NME], "A")
    topology.createStandardBonds()
    chain = ProteinChain.from_openmm(topology)
    assert chain.atom_indices[0] == 1 and chain.atom_labels[0] == "chain 'A', residue ACE 1"
    np.testing.assert_array_equal(chain.before_index, [1, 2])


def test_overlaps_of_a_cap_are_lifted():
    topology, positions = capped_peptide("AL")
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions)
    asked = template.torsions.clone()[None]
    asked[0, 0, 1] = torch.tensor([0.0, 1.0])  # phi of zero: the cap's carbonyl lies on that of the residue

    def placed(torsions):
        return template.place(template.chain_rigids(torsions), torsions)[0].numpy()

    relieved = relieve_clashes(template, asked)
    closest = [closest_to_the_cap(topology, placed(torsions)) for torsions in (asked, relieved)]
    assert closest[0] < 0.25 < closest[1]
    torch.testing.assert_close(relieved[0, 0, 0], asked[0, 0, 0], atol=1e-12, rtol=0)  # omega


def closest_to_the_cap(topology, atoms):
    """Nanometres from O of the cap before the first residue to the nearest carbonyl atom."""
    cap = atom_named(topology, 0, "O").index
    return min(np.linalg.norm(atoms[cap] - atoms[atom_named(topology, 1, name).index]) for name in ("C", "O"))


@pytest.mark.parametrize("n_cap, c_cap", CAPS)
def test_between_two_geometries_hydrogens_of_caps_turn_with_their_bonds(n_cap, c_cap):
    topology, positions = capped_peptide("AL", n_cap, c_cap)
    chain = ProteinChain.from_openmm(topology)
    first = torch.from_numpy(positions)
    half = blended(chain, first, first, torch.tensor(0.5, dtype=torch.float64))
    torch.testing.assert_close(half, first, atol=1e-6, rtol=0)
