"""A simulation whose frames are filled in: what is reported when, restarts, refusals."""

import warnings

import mdtraj
import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from models import INFO, small_flow, small_forward_flow
from openmm_mdgen.errors import CheckpointError, MDGenError, ReportIntervalError, UnsupportedTopologyError
from openmm_mdgen.generators.fine import FineGenerator
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.systems import implicit_system, langevin
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.ode import AdamsBashforth
from openmm_mdgen.model.tasks import Upsampling
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from structures import peptide

REFERENCE = openmm.Platform.getPlatformByName("Reference")
FACTOR = 5  # of 10 ps: a frame each 2 ps, 500 steps of 4 fs
FINE = 500


def generator(flow, info):
    return TrajectoryGenerator(flow, info, AdamsBashforth(), torch.device("cpu"))


def forward():
    return generator(small_forward_flow(), INFO)


def filling(interval=2.0):
    return generator(small_flow(Upsampling(FACTOR)), ModelInfo("fine", FACTOR + 1, interval, 350.0))


def simulation(**options):
    topology, positions = peptide("AGSA")
    made = MDGenSimulation(topology, implicit_system(topology), langevin(seed=1), REFERENCE, seed=5, **options)
    made.context.setPositions(positions)
    return made


def positions_of(made):
    return np.asarray(made.context.getState(positions=True).getPositions(asNumpy=True)._value)


def test_reports_may_be_finer_than_the_frames_of_the_forward_model(tmp_path):
    plain, fine = simulation(generator=forward()), simulation(generator=forward(), upsampling=filling())
    fine.reporters.append(app.DCDReporter(str(tmp_path / "fine.dcd"), FINE))
    coarse = []
    for _ in range(7):  # past the five frames of a segment
        plain.step(FACTOR * FINE)
        coarse.append(positions_of(plain))
    fine.step(5 * FACTOR * FINE)
    state = fine.context.getState()
    assert state.getTime().value_in_unit(unit.picosecond) == pytest.approx(50.0) and state.getStepCount() == 12_500
    fine.reporters.clear()
    topology = mdtraj.Topology.from_openmm(fine.topology)
    written = mdtraj.load(str(tmp_path / "fine.dcd"), top=topology)
    assert written.n_frames == 25
    # Those of the forward model are among them, as it made them.
    np.testing.assert_allclose(written.xyz[FACTOR - 1 :: FACTOR], coarse[:5], atol=1e-5)
    assert np.abs(np.diff(written.xyz, axis=0)).max(axis=(1, 2)).min() > 0, "a frame is there twice"


def test_a_restart_between_frames_of_the_forward_model_goes_on_bit_for_bit(tmp_path):
    whole, cut = (simulation(generator=forward(), upsampling=filling()) for _ in range(2))
    whole.step(9 * FINE)
    cut.step(3 * FINE)
    cut.saveCheckpoint(str(tmp_path / "a.chk"))
    again = simulation(generator=forward(), upsampling=filling())
    again.loadCheckpoint(str(tmp_path / "a.chk"))
    again.step(6 * FINE)
    np.testing.assert_array_equal(positions_of(whole), positions_of(again))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ReportIntervalError, match="500"):
        simulation(generator=forward(), upsampling=filling()).step(FINE // 2)
    with pytest.raises(MDGenError, match="fit each other"):
        FineGenerator(forward(), filling(interval=1.0))
    with pytest.raises(CheckpointError, match="upsampling"):
        simulation(generator=forward(), upsampling=forward())
    with pytest.raises(MDGenError, match="cannot be filled in"):
        simulation(generator=object(), upsampling=filling())
    with pytest.raises(UnsupportedTopologyError):
        FineGenerator(forward(), filling()).check(peptide("AGV")[0])


def test_motion_of_another_temperature_between_frames_is_warned_of():
    """The bundled upsampling weights know 350 K alone, those of forward simulation 300 to 350 K."""
    coarse = TrajectoryGenerator.load(device="cpu")
    upsampling = TrajectoryGenerator.load(task="upsampling", device="cpu")
    topology, positions = peptide("AGSA")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        propagator = FineGenerator(coarse, upsampling).propagator(topology, positions)
        propagator.set_temperature(350.0)
    with pytest.warns(UserWarning, match="frames at 300 K are filled in with motion of 350 K"):
        propagator.set_temperature(300.0)
    coarse.temperature = 300.0
    with pytest.warns(UserWarning, match="at 350 K, and 'forward_peptide' in .* for frames at 300 K"):
        FineGenerator(coarse, upsampling)
