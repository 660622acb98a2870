"""A hybrid run of a protein with weights of its architecture and random numbers: all is rejected, each for a reason."""

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from hybrids import QUICK
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.systems import langevin
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.gate import Gate
from openmm_mdgen.simulation.schedule import Alternate
from openmm_mdgen.simulation.starts import Minimised
from published_weights import write_published

PDB = app.PDBFile(str(Path(__file__).parent.parent / "data" / "proteins" / "trp_cage.pdb"))
STEP_SIZE, FRAME = 0.002, 10  # ps, steps
INTERVAL = FRAME * STEP_SIZE


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    weights = write_published(tmp_path_factory.mktemp("weights") / "atlas.ckpt", scale=0.2)
    generator = TrajectoryGenerator.load(weights, device="cpu", ode_solver="euler", evaluations=2)
    generator.frame_interval = INTERVAL  # MD takes the place of what is rejected, and 400 ps of it would take hours
    return generator


def simulation_of(generator):
    simulation = MDGenSimulation(
        PDB.topology,
        # In vacuum, where forces take a tenth of the time that they take in GBn2.
        app.ForceField("amber14-all.xml").createSystem(PDB.topology, constraints=app.HBonds),
        langevin(temperature=300.0, step_size=STEP_SIZE, seed=2),
        openmm.Platform.getPlatformByName("CPU"),
        {"Threads": "1"},
        generator=generator,
        schedule=Alternate(integrate=2 * INTERVAL, generate=3 * INTERVAL),
        gate=Gate(retries=1),
        landing=QUICK,
        start=Minimised(max_iterations=60),
        seed=7,
    )
    simulation.context.setPositions(PDB.positions)
    return simulation


@pytest.mark.filterwarnings("ignore")  # of another force field than CHARMM's, and of few iterations
def test_a_hybrid_run_of_a_protein_rejects_what_is_no_protein_and_goes_on(generator, monkeypatch):
    # The comparison with CHARMM's charges takes seconds, and is tested elsewhere.
    monkeypatch.setattr("openmm_mdgen.simulation.honoured.differences", lambda *arguments: [])
    simulation = simulation_of(generator)
    simulation.step(10 * FRAME)
    generated = [segment for segment in simulation.segments if segment.kind == "generated"]
    integrated = [segment for segment in simulation.segments if segment.kind == "integrated"]
    assert len(generated) == 4 and not any(segment.accepted for segment in generated)
    assert all(segment.reason for segment in generated)
    assert sum(segment.steps for segment in integrated) == 10 * FRAME == simulation.currentStep
    state = simulation.context.getState(positions=True, energy=True)
    assert state.getPotentialEnergy() < 0 * unit.kilojoule_per_mole
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    given = np.array(PDB.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    assert 0.01 < np.sqrt(np.square(positions - given).sum(-1).mean()) < 0.3
