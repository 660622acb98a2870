"""Design recovery of samples that can be counted by hand."""

import pytest

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.design import design_recovery
from openmm_mdgen.errors import MDGenError

PUBLISHED, SOUND = Definitions.PUBLISHED, Definitions.SOUND
#                   right: all   0 1 -   - - 2 3   0 - 2 3
SAMPLES = ["ACDE", "ACFG", "GGDE", "AGDE"]


def test_recoveries_are_shares_of_residues():
    found = design_recovery(SAMPLES, "ACDE", definitions=PUBLISHED)
    assert found.designed == pytest.approx((2 + 1 + 1 + 1) / 8)
    assert found.known == pytest.approx((2 + 1 + 1 + 2) / 8)


def test_majorities_are_per_position_and_per_combination():
    found = design_recovery([*SAMPLES, "AGDG"], "ACDE", definitions=PUBLISHED)
    assert found.majority_designed == 0.5  # G, D
    assert found.majority_known == 1
    assert found.most_frequent_designed == 0.5  # GD, three of five
    assert design_recovery(["ACDE", "ACDE", "AGDE"], "ACDE", definitions=PUBLISHED).most_frequent_designed == 1


def test_the_final_sample_is_the_worst_in_the_known_residues_as_published_and_the_best_else():
    samples = ["GGGG", "GCDG", "ACGE"]  # known residues right: 0, 0, 2
    assert design_recovery(samples, "ACDE", definitions=PUBLISHED).final_designed == 0
    assert design_recovery(samples, "ACDE", definitions=SOUND).final_designed == 0.5


def test_other_positions_can_be_designed():
    found = design_recovery(["ACDE", "GCDE"], "ACDE", designed=(0,), definitions=PUBLISHED)
    assert found.designed == 0.5 and found.known == 1


def test_samples_that_do_not_fit_are_refused():
    for samples, designed in (([], (1, 2)), (["ACD"], (1, 2)), (["ACDE"], (4,)), (["ACDE"], (0, 1, 2, 3))):
        with pytest.raises(MDGenError):
            design_recovery(samples, "ACDE", designed=designed, definitions=PUBLISHED)
