"""The settings of landings: units, and values that are refused."""

import math

import pytest
from openmm import unit

from openmm_mdgen import LandingSettings
from openmm_mdgen.errors import MDGenError


def test_quantities_of_any_unit_are_taken():
    settings = LandingSettings(
        free_time=500 * unit.femtosecond,
        targeting_tolerance=0.5 * unit.angstrom,
        restraint_stiffness=1.0 * unit.kilocalorie_per_mole / unit.angstrom**2,
        friction=2 / unit.picosecond,
    )
    assert settings.free_time == pytest.approx(0.5)
    assert settings.targeting_tolerance == pytest.approx(0.05)
    assert settings.restraint_stiffness == pytest.approx(418.4)
    assert settings.friction == 2
    assert LandingSettings() == LandingSettings() != settings


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"free_time": -1.0}, "free_time is -1.0: give a number that is not below zero"),
        ({"restrained_step": 0.0}, "restrained_step is 0.0: give a number above zero"),
        ({"friction": math.nan}, "friction is nan: give a finite number in /picosecond"),
        ({"free_time": 1 * unit.nanometer}, "free_time is .*: give a finite number in picosecond"),
        ({"minimizer_iterations": 2.5}, "minimizer_iterations is 2.5: give a whole number, at least 1"),
        ({"reference_frames": 1}, "reference_frames is 1: give a whole number, at least 2"),
        ({"energy_deviations": "6"}, "energy_deviations is '6'"),
        ({"targeting_stages": True}, "targeting_stages is True"),
    ],
)
def test_values_of_no_use_are_refused(option, match):
    with pytest.raises(MDGenError, match=match):
        LandingSettings(**option)
