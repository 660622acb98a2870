"""The bond graph: who is bonded, who is near, which angles there are, and handedness."""

from itertools import combinations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm_mdgen.geometry.bonds import (
    BondGraph,
    Stereocentres,
    lengths,
    mirrored,
    stereocentres,
    triple_products,
)
from openmm_mdgen.geometry.residues import ONE_TO_THREE
from structures import ideal_structure

PAIRS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] != pair[1]), max_size=20)


@given(PAIRS)
def test_neighbours_distances_in_bonds_and_angles_are_those_of_the_graph(pairs):
    graph, other = BondGraph.of(12, pairs), networkx.Graph()
    other.add_nodes_from(range(12))
    other.add_edges_from(pairs)
    assert [set(around) for around in graph.neighbours] == [set(other[k]) for k in range(12)]
    for n_bonds in (0, 1, 3):
        reached = dict(networkx.all_pairs_shortest_path_length(other, cutoff=n_bonds))
        expected = np.array([[j in reached[i] for j in range(12)] for i in range(12)])
        np.testing.assert_array_equal(graph.near(n_bonds), expected)
    angles = {(i, k, j) for k in range(12) for i, j in combinations(sorted(other[k]), 2)}
    assert {tuple(angle) for angle in graph.angles().tolist()} == angles and len(graph.angles()) == len(angles)
    assert graph.centres()[:, 0].tolist() == [k for k in range(12) if other.degree(k) == 4]


def test_neighbours_are_in_the_order_of_the_bonds_and_a_bond_listed_twice_is_one():
    graph = BondGraph.of(4, [(2, 0), (0, 3), (0, 1), (0, 2)])
    assert graph.neighbours == ((2, 3, 1), (0,), (0,), (0,))
    assert BondGraph.of(3, []).neighbours == ((), (), ()) and BondGraph.of(3, []).angles().shape == (0, 3)


@pytest.mark.parametrize("n_frames", [(), (5,), (2, 3)])
def test_lengths_and_triple_products_of_many_frames(n_frames):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(*n_frames, 6, 3))
    pairs, centres = np.array([[0, 4], [2, 1]]), np.array([[0, 1, 2, 3], [5, 4, 3, 1]])
    np.testing.assert_allclose(
        lengths(points, pairs)[..., 1] ** 2, ((points[..., 2, :] - points[..., 1, :]) ** 2).sum(-1)
    )
    rows = points[..., [1, 2, 3], :] - points[..., :1, :]
    np.testing.assert_allclose(triple_products(points, centres)[..., 0], np.linalg.det(rows))
    np.testing.assert_allclose(triple_products(-points, centres), -triple_products(points, centres))


def test_every_residue_but_glycine_has_an_alpha_centre_and_four_have_one_more():
    counts = {three: len(stereocentres(three)) for three in ONE_TO_THREE.values()}
    assert counts.pop("GLY") == 0
    assert {three for three, n in counts.items() if n == 2} == {"ILE", "THR", "VAL", "LEU"}
    assert set(counts.values()) == {1, 2}


def centred(sequence, seed=0):
    """Ideal residues, the numbers of their atoms by name, and their positions."""
    topology, positions = ideal_structure(sequence, seed)
    residues = [(r.name, {atom.name: atom.index for atom in r.atoms()}) for r in topology.residues()]
    return residues, positions


def test_ideal_residues_are_l_amino_acids_and_their_mirror_images_are_not():
    residues, positions = centred("".join(ONE_TO_THREE))
    centres = Stereocentres.of(residues)
    assert len(centres.owners) == 19 + 2
    assert not centres.mirrored(positions).any() and centres.epimers(positions) == {}
    each = [[places[atom] for atom in centre] for name, places in residues for centre in stereocentres(name)]
    assert len(each) == 19 + 4 and not mirrored(positions, np.array(each)).any()  # those of equal methyl groups too
    assert centres.mirrored(positions * [1, 1, -1]).all()
    assert set(centres.epimers(positions * [1, 1, -1])) == set(range(20)) - {list(ONE_TO_THREE).index("G")}


@pytest.mark.parametrize(
    ("letter", "swapped", "what"),
    [
        ("T", ("OG1", "CG2"), "allothreonine: its CB is the mirror image of that of threonine"),
        ("I", ("CG1", "CG2"), "alloisoleucine: its CB is the mirror image of that of isoleucine"),
        ("T", ("N", "C"), "a D amino acid: its CA is the mirror image of that of L amino acids"),
    ],
)
def test_what_a_residue_is_follows_from_the_centre_that_is_mirrored(letter, swapped, what):
    residues, positions = centred(f"G{letter}A")
    pair = [residues[1][1][name] for name in swapped]
    positions = positions.copy()
    positions[pair] = positions[pair[::-1]]
    assert Stereocentres.of(residues).epimers(positions) == {1: what}


def test_a_flat_centre_is_mirrored_unless_there_is_doubt():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, -1, 0.0]])
    centre = np.arange(4)[None]
    assert mirrored(points, centre).all() and not mirrored(points, centre, doubt=1e-6).any()
    assert mirrored(points + [[np.nan], [0], [0], [0]], centre).all()  # what is no number is not right
