"""A simulation asks generators that know several temperatures for its integrator's."""

import io
import warnings

import numpy as np
import openmm
import pytest
from openmm import app

from dipeptide import FRAME, STEP_SIZE, assert_same_state, langevin, simulation_of, state_of
from hybrids import QUICK, SCHEDULE, Says
from openmm_mdgen.errors import UnsupportedSystemError
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.record import Record
from tempered import tempered

SEGMENT = 5 * FRAME
KINDS = {
    "checkpoint": (MDGenSimulation.saveCheckpoint, MDGenSimulation.loadCheckpoint, io.BytesIO),
    "state": (MDGenSimulation.saveState, MDGenSimulation.loadState, io.StringIO),
}


def at(kelvin, **options):
    return simulation_of(tempered(), integrator=langevin(temperature=kelvin), **options)


def positions(simulation):
    return state_of(simulation)[2]


def asked_for(simulation):
    return [segment.temperature for segment in simulation.segments]


def test_frames_are_of_the_integrators_temperature_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cold, warm = at(300), at(350)
        for simulation in (cold, warm):
            simulation.step(3 * FRAME)
    assert np.abs(positions(cold) - positions(warm)).max() > 1e-3
    assert (asked_for(cold), asked_for(warm)) == ([300.0], [350.0])
    made = tempered()
    made.temperature = 300  # what a script sets is of the generator; what the integrator has counts
    simulation = simulation_of(made, integrator=langevin(temperature=350))
    simulation.step(3 * FRAME)
    assert np.array_equal(positions(simulation), positions(warm))


def test_a_temperature_that_changes_on_the_way_is_that_of_the_next_segment():
    simulation, steady = at(350), at(350)
    for made in (simulation, steady):
        made.step(2 * FRAME)
    simulation.integrator.setTemperature(310)
    for made in (simulation, steady):
        made.step(3 * FRAME)
    assert np.array_equal(positions(simulation), positions(steady)), "frames that are left stay as they were"
    for made in (simulation, steady):
        made.step(FRAME)
    assert not np.array_equal(positions(simulation), positions(steady))
    simulation.step(SEGMENT)
    assert asked_for(simulation) == [350.0, 310.0, 310.0]


@pytest.mark.parametrize(("save", "load", "stream"), KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("n_before", [3, 5])
def test_a_restart_uses_the_temperature_again(save, load, stream, n_before):
    """Within a segment that of the segment, which is generated anew; after it the integrator's."""
    whole, file = at(310), stream()
    whole.step(n_before * FRAME)
    save(whole, file)
    file.seek(0)
    whole.integrator.setTemperature(320)
    whole.step(8 * FRAME)
    again = at(320, positions=False)
    load(again, file)
    again.integrator.setTemperature(320)  # a state brings that of its integrator
    again.step(8 * FRAME)
    assert_same_state(whole, again)
    assert asked_for(again) == asked_for(whole) and asked_for(again)[0] == 310.0


@pytest.mark.parametrize(("kelvin", "used"), [(280.0, 300.0), (400.0, 350.0)])
def test_outside_of_the_range_the_nearest_is_taken_and_told(kelvin, used):
    expected = rf"at {kelvin:g} K and the generator was trained at 300 to 350 K: generated frames are of {used:g} K"
    with pytest.warns(UserWarning, match=expected) as caught:
        simulation, inside = at(kelvin), at(used)
        for made in (simulation, inside):
            made.step(FRAME)
    assert len(caught) == 1
    assert np.array_equal(positions(simulation), positions(inside)) and asked_for(simulation) == [used]


def test_without_a_thermostat_it_is_the_generators():
    made = tempered()
    made.temperature = 320.0
    simulation = simulation_of(made, integrator=openmm.VerletIntegrator(STEP_SIZE))
    simulation.step(FRAME)
    assert asked_for(simulation) == [320.0]


def test_hybrid_runs_ask_for_it_too():
    simulation = at(310, schedule=SCHEDULE, gate=Says(True), landing=QUICK)
    simulation.step(9 * FRAME)
    simulation.integrator.setTemperature(340)
    simulation.step(9 * FRAME)
    by_kind = {(s.kind, s.temperature) for s in simulation.segments}
    assert by_kind == {("integrated", None), ("generated", 310.0), ("generated", 340.0)}


def test_two_chains_ask_for_it_each():
    simulation = at(310, chains="each")
    one = at(310)
    for made in (simulation, one):
        made.step(FRAME)
    assert asked_for(simulation) == [310.0]


def test_tempering_is_refused_for_what_it_decides_by():
    simulation = at(300)
    with pytest.raises(UnsupportedSystemError, match="energies of generated frames.* lack thermal vibration"):
        app.SimulatedTempering(
            simulation, temperatures=[300, 320], tempChangeInterval=FRAME, reportFile="/dev/null"
        ).step(FRAME)


def test_records_of_versions_that_kept_no_temperature_are_read():
    simulation = at(310)
    simulation.step(FRAME)
    line = simulation._advance.record.to_array().tobytes().decode()
    older = line.replace(', "temperature": 310.0', "")
    assert older != line
    (segment,) = Record.from_array(np.frombuffer(older.encode(), dtype=np.uint8)).segments
    assert segment.temperature is None and segment.steps == simulation.segments[0].steps
