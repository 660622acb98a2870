"""The bond graph: who is bonded, who is near, which angles there are, and handedness."""

from itertools import combinations

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openmm_mdgen.geometry.bonds import BondGraph, lengths, stereocentres, triple_products
from openmm_mdgen.geometry.residues import ONE_TO_THREE

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
