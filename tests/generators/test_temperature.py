"""Weights of several temperatures, asked for one; and generators that know one alone."""

import numpy as np
import pytest
import torch
from openmm import app, unit

from dipeptide import FRAME, STEP_SIZE, peptide
from models import NEAR_KEY_FRAME, SMALL, random_flow
from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.generators.each_chain import EachChain
from openmm_mdgen.generators.fine import FineGenerator
from openmm_mdgen.generators.registry import set_temperature
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.ode import Euler
from openmm_mdgen.model.tasks import ForwardSimulation, Upsampling
from openmm_mdgen.model.tokens import Tokenizer
from openmm_mdgen.protocol import assert_conforms, temperature_range
from tempered import tempered
from tumbling import TumblingGenerator
from wandering import WanderingGenerator, WanderingPropagator


def positions():
    return np.array(peptide()[1].value_in_unit(unit.nanometer))


def rollout(generator):
    return generator.rollout(peptide()[0], positions(), 7, seed=3).xyz


def filled_in(temperatures):
    config = FlowConfig(
        NetworkConfig(**SMALL, max_residues=2, temperature=True), Tokenizer(**NEAR_KEY_FRAME), Upsampling(5)
    )
    info = ModelInfo("fine", 6, FRAME * STEP_SIZE / 5, 300.0, backbone="rigids", temperatures=temperatures)
    return TrajectoryGenerator(random_flow(config, scale=0.05), info, Euler(2), torch.device("cpu"))


def test_what_is_generated_is_of_the_temperature_that_is_asked_for():
    generator = tempered()
    assert (generator.temperature, generator.temperature_range) == (350.0, (300.0, 350.0))
    warm = rollout(generator)
    generator.temperature = 305 * unit.kelvin
    assert generator.temperature == 305.0
    assert np.abs(rollout(generator) - warm).max() > 1e-3
    generator.temperature = 350
    assert np.array_equal(rollout(generator), warm)


@pytest.mark.parametrize("kelvin", [299.0, 351.0, 0.0, float("nan"), "300"])
def test_a_temperature_that_the_weights_do_not_know_is_refused(kelvin):
    generator = tempered()
    with pytest.raises(MDGenError, match="temperature"):
        generator.temperature = kelvin
    with pytest.raises(MDGenError, match="temperature"):
        generator.propagator(peptide()[0], positions()).set_temperature(kelvin)
    assert generator.temperature == 350.0


def test_a_propagator_has_its_own_temperature_and_keeps_it_in_its_state():
    generator = tempered()
    one, other = (generator.propagator(peptide()[0], positions()) for _ in range(2))
    one.set_temperature(300)
    assert (one.temperature, other.temperature, generator.temperature) == (300.0, 350.0, 350.0)
    cold, warm = one.segment(positions(), 5), other.segment(positions(), 5)
    assert np.abs(cold - warm).max() > 1e-3
    other.restore(one.state())
    assert np.array_equal(other.segment(positions(), 5), cold)


def test_weights_of_one_temperature_keep_no_temperature_in_their_state():
    network = NetworkConfig(**SMALL, max_residues=2)
    flow = random_flow(FlowConfig(network, Tokenizer(**NEAR_KEY_FRAME), ForwardSimulation()), scale=0.05)
    generator = TrajectoryGenerator(flow, ModelInfo("plain", 6, 10.0, 350.0), Euler(2), torch.device("cpu"))
    state = generator.propagator(peptide()[0], positions()).state()
    assert "temperature" not in state, "states of older versions have none"


@pytest.mark.parametrize(
    "made",
    [tempered, lambda: EachChain(tempered()), lambda: FineGenerator(tempered(), filled_in((300.0, 350.0)))],
    ids=["weights", "each chain", "filled in"],
)
def test_generators_of_several_temperatures_conform(made):
    generator = made()
    assert temperature_range(generator) == (300.0, 350.0)
    assert_conforms(generator, peptide()[0], positions())
    set_temperature(generator, 310)
    assert generator.temperature == 310 == generator.propagator(peptide()[0], positions()).temperature


def test_motion_between_frames_is_of_the_nearest_temperature_that_its_weights_know():
    """The last frame of a segment is the forward model's, the others depend on the weights that fill in too."""
    segments = []
    for known in ((300.0, 350.0), (340.0, 350.0), (340.0, 345.0)):
        propagator = FineGenerator(tempered(), filled_in(known)).propagator(peptide()[0], positions())
        propagator.set_temperature(300.0)
        segments.append(propagator.segment(positions(), 5))
    assert np.array_equal(segments[1], segments[2])
    assert np.abs(segments[0] - segments[1]).max() > 1e-4
    np.testing.assert_array_equal(segments[0][4::5], segments[1][4::5])


def test_a_generator_of_one_temperature_takes_no_other():
    generator = TumblingGenerator(temperature=330)
    assert temperature_range(generator) == (330, 330)
    set_temperature(generator, None)
    set_temperature(generator, 330)
    with pytest.raises(MDGenError, match="'TumblingGenerator' was trained at 330 K"):
        set_temperature(generator, 300)
    with pytest.raises(MDGenError, match="'told' was trained at 300 to 350 K"):
        set_temperature(tempered(), 280)


class Forgetful(WanderingPropagator):
    """Takes a temperature, and loses it in a restart."""

    def set_temperature(self, kelvin):
        self.temperature = kelvin


@pytest.mark.parametrize(
    ("kind", "stated", "says"),
    [
        (Forgetful, (280.0, 320.0), "restore.. of a state at 280 K leaves the propagator at 320 K"),
        (WanderingPropagator, (280.0, 320.0), "set_temperature is missing"),
        (Forgetful, (310.0, 320.0), "outside of temperature_range"),
    ],
)
def test_generators_that_do_not_keep_their_temperatures_are_caught(kind, stated, says):
    generator = WanderingGenerator(propagator_type=kind)
    generator.temperature_range = stated
    with pytest.raises(AssertionError, match=says):
        assert_conforms(generator, peptide()[0], positions(), refused=[app.Topology()])
