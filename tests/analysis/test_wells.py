"""Rotamers and basins of angles that are known, and the error of the rare ones' populations."""

import numpy as np
import pytest

from openmm_mdgen.analysis import Definitions, NotDefined, evaluate
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.analysis.wells import basins, rotamers
from torsion_walks import place

NAMES = tuple(
    "PHI 0 LYS 2,PSI 0 LYS 2,PSI 0 GLY 1,CHI1 0 LYS 2,CHI1 0 PRO 3,CHI2 0 LYS 2,CHI2 0 PHE 4,CHI2 0 GLH 5,CHI3 0 GLU 6,"
    "CHI4 0 LYS 2,CHI4 0 ARG 7".split(",")
)


def test_rotamers_are_of_tetrahedral_atoms_and_basins_of_residues_with_both_torsions():
    degrees = np.zeros((4, len(NAMES)))
    degrees[:, 0], degrees[:, 1] = (-60, -120, 60, -60), (-40, 140, 40, -150)
    degrees[:, 3] = (65, 179, -179, -55)
    series = TorsionSeries(NAMES, np.radians(degrees).astype(np.float32), 1.0)
    found = rotamers(series)
    assert found.names == ("CHI1 0 LYS 2", "CHI2 0 LYS 2", "CHI2 0 GLH 5", "CHI4 0 LYS 2")
    assert found.labels[:, 0].tolist() == [0, 1, 1, 2]
    np.testing.assert_allclose(found.populations()[0], [0.25, 0.5, 0.25])
    backbone = basins(series)
    assert backbone.names == ("PHI 0 LYS 2|PSI 0 LYS 2",) and backbone.labels[:, 0].tolist() == [0, 1, 2, 1]


def trajectory(share, n=200):
    """SVS whose valine has chi1 at 60 degrees in a share of the frames, else at 180, and a helical backbone."""
    rare = np.arange(n) < share * n
    fixed = {(1, "PHI"): -1.0, (1, "PSI"): -0.7, (0, "CHI1"): -1.0, (2, "CHI1"): -1.0}
    noise = np.random.default_rng(int(1000 * share)).normal(0, 0.1, (len(fixed) + 1, n))
    angles = {key: value + row for (key, value), row in zip(fixed.items(), noise, strict=False)}
    return place("SVS", angles | {(1, "CHI1"): np.where(rare, 1.0, 3.0) + noise[-1]})


@pytest.mark.parametrize("ours", [0.0, 0.1, 0.3])
def test_minor_populations_are_compared_in_the_mean(ours):
    """Of four places with three wells each, seven wells are empty in the reference and valine's g+ holds 0.1."""
    options = {"lagtime": 2.0, "n_clusters": 10, "n_states": 2, "definitions": Definitions.SOUND}
    found = evaluate(trajectory(ours), trajectory(0.1), **options).jsd.minor
    assert found == pytest.approx(abs(ours - 0.1) / 8, abs=1e-6)


def test_a_molecule_without_wells_has_no_minor_populations():
    angles = {(0, "PSI"): np.random.default_rng(0).uniform(-3, 3, 60)}
    found = evaluate(place("GG", angles), place("GG", angles), lagtime=2.0, n_clusters=5, n_states=2).jsd.minor
    assert isinstance(found, NotDefined) and "no rotamer or basin" in found.why
