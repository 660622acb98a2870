"""Stopped and started again: files that carry the generator's place, and still are OpenMM's."""

import io

import numpy as np
import openmm
import pytest
import torch
from openmm import app

from dipeptide import (
    FRAME,
    REFERENCE,
    STEP_SIZE,
    Recorder,
    assert_same_state,
    langevin,
    peptide,
    plain_simulation,
    python,
    simulation_of,
    state_of,
)
from models import NEAR_KEY_FRAME, SMALL, random_flow
from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.generators.each_chain import EachChain
from openmm_mdgen.generators.fine import FineGenerator
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.ode import Euler
from openmm_mdgen.model.tasks import ForwardSimulation, Upsampling
from openmm_mdgen.model.tokens import Tokenizer
from openmm_mdgen.simulation import restart
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.schedule import Integrate
from tumbling import TumblingGenerator

KINDS = {
    "checkpoint": (MDGenSimulation.saveCheckpoint, MDGenSimulation.loadCheckpoint, io.BytesIO),
    "state": (MDGenSimulation.saveState, MDGenSimulation.loadState, io.StringIO),
}
kinds = pytest.mark.parametrize("save, load, stream", KINDS.values(), ids=KINDS.keys())


@kinds
@pytest.mark.parametrize("n_before", [0, 3, 4, 5], ids=lambda n: f"after {n} frames")
def test_a_restart_continues_bit_for_bit(tmp_path, save, load, stream, n_before):
    whole, second = simulation_of(), simulation_of(seed=1234, positions=False)
    whole.step(n_before * FRAME)
    save(whole, str(tmp_path / "file"))
    whole.step(7 * FRAME)
    load(second, str(tmp_path / "file"))
    assert second.seed == whole.seed and second.currentStep == n_before * FRAME
    second.step(7 * FRAME)
    assert_same_state(whole, second)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@kinds
def test_file_objects_and_going_back_in_one_simulation_work_too(save, load, stream):
    simulation = simulation_of()
    simulation.step(6 * FRAME)
    file = stream()
    save(simulation, file)
    simulation.step(5 * FRAME)
    end = state_of(simulation)
    file.seek(0)
    load(simulation, file)
    simulation.step(5 * FRAME)
    for one, other in zip(end, state_of(simulation), strict=True):
        np.testing.assert_array_equal(one, other)


@kinds
def test_a_change_before_the_save_is_part_of_it(save, load, stream):
    whole, second = simulation_of(), simulation_of(positions=False)
    whole.step(2 * FRAME)
    whole.context.setPositions(state_of(whole)[2] + 1)
    file = stream()
    save(whole, file)
    whole.step(3 * FRAME)
    file.seek(0)
    load(second, file)
    second.step(3 * FRAME)
    assert_same_state(whole, second)


@kinds
def test_saving_twice_gives_equal_bytes_and_disturbs_nothing(save, load, stream):
    simulation, undisturbed = simulation_of(), simulation_of()
    simulation.step(3 * FRAME)
    first, second = stream(), stream()
    save(simulation, first)
    save(simulation, second)
    assert first.getvalue() == second.getvalue()
    simulation.step(3 * FRAME)
    undisturbed.step(6 * FRAME)
    assert_same_state(simulation, undisturbed)


def test_plain_openmm_loads_our_files(tmp_path):
    ours, plain = simulation_of(), plain_simulation()
    ours.step(3 * FRAME)
    ours.saveCheckpoint(str(tmp_path / "a.chk"))
    ours.saveState(str(tmp_path / "a.xml"))
    for load, name in ((plain.loadCheckpoint, "a.chk"), (plain.loadState, "a.xml")):
        plain.context.reinitialize()
        load(str(tmp_path / name))
        assert_same_state(ours, plain)
    state = openmm.XmlSerializer.deserialize((tmp_path / "a.xml").read_text())
    assert state.getStepCount() == 3 * FRAME
    by_constructor = app.Simulation(*_parts(), state=str(tmp_path / "a.xml"))
    assert_same_state(ours, by_constructor)


@kinds
def test_plain_openmm_files_start_a_new_segment_and_keep_the_seed(save, load, stream):
    plain, ours = plain_simulation(), simulation_of()
    plain.step(2 * FRAME)
    ours.step(2 * FRAME)
    file = stream()
    getattr(plain, save.__name__)(file)
    file.seek(0)
    load(ours, file)
    assert_same_state(plain, ours)
    ours.step(FRAME)
    calls = ours.generator.propagators[0].calls
    assert ours.seed == 7 and len(calls) == 2
    np.testing.assert_array_equal(calls[1][0], state_of(plain)[2])


def test_a_plain_file_of_this_very_place_starts_a_new_segment_as_it_would_elsewhere():
    simulation = simulation_of()
    simulation.step(2 * FRAME)
    simulation.loadCheckpoint(io.BytesIO(simulation.context.createCheckpoint()))
    simulation.step(FRAME)
    assert len(simulation.generator.propagators[0].calls) == 2


def test_the_constructor_takes_a_saved_state(tmp_path):
    first = simulation_of()
    first.step(3 * FRAME)
    first.saveState(str(tmp_path / "a.xml"))
    second = MDGenSimulation(*_parts(), state=str(tmp_path / "a.xml"), generator=TumblingGenerator())
    first.step(3 * FRAME)
    second.step(3 * FRAME)
    assert_same_state(first, second)


@kinds
def test_integrate_writes_openmms_own_files_and_reads_ours(save, load, stream):
    plain, ours, generated = plain_simulation(), simulation_of(schedule=Integrate()), simulation_of()
    generated.step(3 * FRAME)
    file = stream()
    save(generated, file)
    file.seek(0)
    load(ours, file)
    file.seek(0)
    getattr(plain, load.__name__)(file)
    first, second = stream(), stream()
    save(ours, first)
    getattr(plain, save.__name__)(second)
    assert first.getvalue() == second.getvalue()


def test_a_damaged_checkpoint_is_refused_and_changes_nothing():
    simulation = simulation_of()
    simulation.step(3 * FRAME)
    file = io.BytesIO()
    simulation.saveCheckpoint(file)
    simulation.step(FRAME)
    before = state_of(simulation)
    data, own = file.getvalue(), len(simulation.context.createCheckpoint())
    assert len(data) > own + 100
    damaged = [
        data[:-1],
        data[: own + 20],
        data + b"x",
        *(_flipped(data, place) for place in (own + 16, own + 26, own + 90, -1)),
    ]
    for bad in damaged:
        with pytest.raises(CheckpointError, match="damaged"):
            simulation.loadCheckpoint(io.BytesIO(bad))
    for one, other in zip(before, state_of(simulation), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_state_is_refused():
    simulation = simulation_of()
    simulation.step(3 * FRAME)
    file = io.StringIO()
    simulation.saveState(file)
    xml = file.getvalue()
    place = xml.index("<MDGen>") + 200
    for bad in (xml[:place], xml[:place] + xml[place + 4 :], xml[:place] + "*" + xml[place + 1 :]):
        with pytest.raises(CheckpointError, match="damaged"):
            simulation.loadState(io.StringIO(bad))


def test_a_file_of_another_molecule_or_generator_is_refused():
    simulation = simulation_of()
    simulation.step(FRAME)
    file = io.BytesIO()
    simulation.saveCheckpoint(file)
    topology = app.Topology()
    residue = topology.addResidue("X", topology.addChain())
    topology.addAtom("X", app.element.carbon, residue)
    system = openmm.System()
    system.addParticle(12.0)
    other = MDGenSimulation(topology, system, langevin(), REFERENCE, generator=TumblingGenerator())
    with pytest.raises(CheckpointError, match="23 atoms"):
        other.loadCheckpoint(io.BytesIO(file.getvalue()))

    class Choosy(TumblingGenerator):
        def propagator(self, topology, positions):
            made = super().propagator(topology, positions)
            made.restore = lambda state: state["hidden"]
            return made

    with pytest.raises(CheckpointError, match="another kind of generator"):
        simulation_of(Choosy()).loadCheckpoint(io.BytesIO(file.getvalue()))


def test_a_run_that_was_killed_continues_in_a_new_process_bit_for_bit(tmp_path):
    dead = python("import restarts; restarts.run_until_killed()", tmp_path)
    assert dead.returncode == -9, dead.stderr
    alive = python("import restarts; restarts.run_on()", tmp_path)
    assert alive.returncode == 0, alive.stderr
    uninterrupted, recorder = simulation_of(), Recorder(FRAME)
    uninterrupted.reporters.append(recorder)
    uninterrupted.step(14 * FRAME)
    np.testing.assert_array_equal(np.load(tmp_path / "rest.npy"), recorder.positions()[6:])


def _parts():
    topology, _, system = peptide()
    return topology, system, langevin(), REFERENCE


def _flipped(data, place):
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def generator_of(seed, name="small"):
    """Weights that take the dipeptide."""
    config = FlowConfig(NetworkConfig(**SMALL, max_residues=2), Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation())
    flow = random_flow(config, scale=0.05, seed=seed)
    info = ModelInfo(name, n_frames=6, frame_interval=FRAME * STEP_SIZE, temperature=300.0)
    return TrajectoryGenerator(flow, info, Euler(2), torch.device("cpu"))


@kinds
def test_a_file_is_refused_by_other_weights_and_taken_by_the_same_under_another_name(save, load, stream):
    file = stream()
    written = simulation_of(generator_of(1, "one"))
    written.step(2 * FRAME)
    save(written, file)

    other = simulation_of(generator_of(2, "two"))
    file.seek(0)
    with pytest.raises(
        CheckpointError, match=r"written with the weights one \([0-9a-f]{12}\), .* has two \([0-9a-f]{12}"
    ):
        load(other, file)
    assert other.currentStep == 0
    file.seek(0)
    with pytest.raises(CheckpointError, match="the simulation has those of a TumblingGenerator"):
        load(simulation_of(), file)

    same = simulation_of(generator_of(1, "renamed"), positions=False)
    file.seek(0)
    load(same, file)
    for simulation in (written, same):
        simulation.step(2 * FRAME)
    assert_same_state(written, same)


def test_a_file_of_weights_that_are_filled_in_keeps_both_checksums():
    config = FlowConfig(NetworkConfig(**SMALL, max_residues=2), Tokenizer(**NEAR_KEY_FRAME), Upsampling(5))
    info = ModelInfo("fine", n_frames=6, frame_interval=FRAME * STEP_SIZE / 5, temperature=300.0)
    fine = [
        FineGenerator(
            generator_of(1), TrajectoryGenerator(random_flow(config, seed=k), info, Euler(2), torch.device("cpu"))
        )
        for k in (1, 1, 2)
    ]
    kept = restart.weights_of(fine[0])
    restart.require_weights(kept, fine[1])
    with pytest.raises(CheckpointError, match="weights small and fine"):
        restart.require_weights(kept, fine[2])
    with pytest.raises(CheckpointError, match="weights small and fine"):
        restart.require_weights(kept, generator_of(1))
    restart.require_weights(restart.weights_of(EachChain(generator_of(1))), generator_of(1))


def test_the_checksum_is_of_the_numbers_not_of_their_file(tmp_path):
    flow = generator_of(1).flow
    checkpoints.save(tmp_path / "w.safetensors", flow, ModelInfo("w", 6, 1.0, 300.0))
    again = TrajectoryGenerator.load(tmp_path / "w.safetensors", device="cpu")
    assert again.checksum == generator_of(1, "another name").checksum
    with torch.no_grad():
        next(again.flow.parameters()).view(-1)[0] += 1e-3
    assert checkpoints.checksum(again.flow) != generator_of(1).checksum
