"""The conformance helper: it passes what keeps the protocol, and catches each promise that is broken."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from openmm import app

from models import INFO, small_forward_flow
from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.model.ode import Euler
from openmm_mdgen.protocol import BatchPropagator, GeneratedSegment, assert_conforms, draw
from structures import peptide
from wandering import WanderingGenerator, WanderingPropagator

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "another_generator"


def assert_it_conforms(generator, **options):
    assert_conforms(generator, *peptide("AGSA"), **options)


def broken(**members):
    """A generator whose propagator has other members."""
    return WanderingGenerator(propagator_type=type("Broken", (WanderingPropagator,), members))


def test_weights_conform():
    generator = TrajectoryGenerator(small_forward_flow(), INFO, Euler(4), torch.device("cpu"))
    assert isinstance(generator.propagator(*peptide("AGSA")), BatchPropagator)
    assert_it_conforms(generator, refused=[app.Topology(), peptide("AAA")[0]])


def test_the_example_conforms(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    assert len((EXAMPLE / "torsion_walk.py").read_text().splitlines()) < 80
    import torsion_walk

    for sequence in ("AGSA", "PK"):
        assert_conforms(torsion_walk.generator(device="cpu"), *peptide(sequence), refused=[app.Topology()])
    sys.modules.pop("torsion_walk")


@pytest.mark.parametrize(
    "generator",
    [
        WanderingGenerator(),
        WanderingGenerator(every=3),
        WanderingGenerator(frame_interval=None),
        WanderingGenerator(n_frames=1),
        WanderingGenerator(share_invalid=0.4),
    ],
    ids=["all atoms", "some atoms", "independent samples", "single frames", "invalid frames"],
)
def test_a_small_generator_conforms(generator):
    assert_it_conforms(generator, refused=[app.Topology()])


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (object(), "lacks members"),
        (WanderingGenerator(frame_interval=0.0), "frame_interval is 0.0"),
        (WanderingGenerator(frame_interval=-1.0), "frame_interval is -1.0"),
        (WanderingGenerator(temperature=0.0), "temperature is 0.0"),
        (WanderingGenerator(temperature=float("nan")), "temperature is nan"),
        (WanderingGenerator(propagator_type=lambda generator, positions: object()), "lacks members"),
    ],
    ids=["no generator", "interval 0", "interval below 0", "temperature 0", "temperature nan", "no propagator"],
)
def test_a_generator_without_its_facts_is_caught(generator, says):
    with pytest.raises(AssertionError, match=says):
        assert_it_conforms(generator)


def unseeded(self, positions, seed):
    return WanderingPropagator.segment(self, positions, np.random.SeedSequence().entropy)


def seedless(self, positions, seed):
    return WanderingPropagator.segment(self, positions, 0)


def remembering_across(self, positions, seed):
    self.generator.n_frames += 1  # a new propagator of the same seed gives other frames
    return WanderingPropagator.segment(self, positions, seed)


def writing(self, positions, seed):
    frames = WanderingPropagator.segment(self, positions, seed)
    positions += 0.1
    return frames


def not_finite(self, positions, seed):
    frames = WanderingPropagator.segment(self, positions, seed)
    frames[-1, 0, 0] = np.nan
    return frames


def flat(self, positions, seed):
    return WanderingPropagator.segment(self, positions, seed)[0]


def whole_molecule(self, positions, seed):
    return np.repeat(positions[None], 3, axis=0)[:, :-1]


def unexplained(self, positions, seed):
    frames = WanderingPropagator.segment(self, positions, seed)
    return GeneratedSegment(frames, np.zeros(len(frames), dtype=bool))


@pytest.mark.parametrize(
    ("segment", "says"),
    [
        (unseeded, "same, bit for bit"),
        (seedless, "another seed gives the same"),
        (remembering_across, "same, bit for bit"),
        (writing, "segment.. changes the positions"),
        (not_finite, "not finite"),
        (flat, "array of shape"),
        (whole_molecule, "array of shape"),
        (unexplained, "without saying what their fault is"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_a_segment_that_breaks_a_promise_is_caught(segment, says):
    with pytest.raises(AssertionError, match=says):
        assert_it_conforms(broken(segment=segment))


@pytest.mark.parametrize(
    "members",
    [{"state": lambda self: {}, "restore": lambda self, state: None}, {"restore": lambda self, state: None}],
    ids=["no state", "state not taken back"],
)
def test_a_run_that_cannot_be_taken_up_again_is_caught(members):
    with pytest.raises(AssertionError, match="after restore"):
        assert_it_conforms(broken(**members))


@pytest.mark.parametrize(
    ("indices", "says"),
    [
        (lambda n: np.arange(1, n + 1), "goes from 1"),
        (lambda n: np.arange(-1, n - 1), "goes from -1"),
        (lambda n: np.zeros(n, dtype=int), "twice"),
        (lambda n: np.arange(n, dtype=float), "whole numbers"),
        (lambda n: np.zeros(0, dtype=int), "whole numbers"),
    ],
    ids=["beyond the last", "before the first", "twice", "not whole", "none"],
)
def test_atoms_that_are_none_of_the_topology_are_caught(indices, says):
    def made(generator, positions):
        propagator = WanderingPropagator(generator, positions)
        propagator.atom_indices = indices(len(positions))
        return propagator

    with pytest.raises(AssertionError, match=says):
        assert_it_conforms(WanderingGenerator(propagator_type=made))


@pytest.mark.parametrize("name", ["frame_interval", "temperature"])
def test_a_propagator_that_differs_from_its_generator_is_caught(name):
    def made(generator, positions):
        propagator = WanderingPropagator(generator, positions)
        setattr(propagator, name, 77.0)
        return propagator

    with pytest.raises(AssertionError, match=f"{name} is 77.0 of the propagator"):
        assert_it_conforms(WanderingGenerator(propagator_type=made))


def test_a_propagator_that_changes_its_structure_is_caught():
    def made(generator, positions):
        positions += 0.1
        return WanderingPropagator(generator, positions)

    with pytest.raises(AssertionError, match="propagator.. changes the positions"):
        assert_it_conforms(WanderingGenerator(propagator_type=made))


def test_a_check_that_takes_what_the_propagator_refuses_is_caught():
    class Careless(WanderingGenerator):
        def check(self, topology):
            pass

        def propagator(self, topology, positions):
            WanderingGenerator.check(self, topology)
            return WanderingPropagator(self, positions)

    assert_it_conforms(Careless())
    with pytest.raises(AssertionError, match="check.. takes a molecule that is to be refused"):
        assert_it_conforms(Careless(), refused=[app.Topology()])


def test_a_refusal_by_another_error_is_caught():
    class Crashing(WanderingGenerator):
        def propagator(self, topology, positions):
            positions[0]
            return super().propagator(topology, positions)

    with pytest.raises(AssertionError, match="IndexError"):
        assert_it_conforms(Crashing(), refused=[app.Topology()])


def test_a_generator_that_refuses_the_molecule_says_so_itself():
    class Choosy(WanderingGenerator):
        def check(self, topology):
            raise UnsupportedTopologyError("not for me")

    with pytest.raises(UnsupportedTopologyError, match="not for me"):
        assert_it_conforms(Choosy())


class Still(WanderingPropagator):
    """Draws replicas at once, as a propagator without a changing state may."""

    def segment(self, positions, seed):
        self.direction = np.zeros(3)
        return super().segment(positions, seed)

    def state(self):
        return {}

    def restore(self, state):
        pass

    def segments(self, positions, seeds):
        return [self.segment(x, seed) for x, seed in zip(positions, seeds, strict=True)]


def other_frames(self, positions, seeds):
    return [frames + 0.01 for frames in Still.segments(self, positions, seeds)]


def fewer_frames(self, positions, seeds):
    return [frames[:-1] for frames in Still.segments(self, positions, seeds)]


def one_replica(self, positions, seeds):
    return Still.segments(self, positions[:1], seeds[:1])


def test_replicas_at_once_are_replicas_one_by_one():
    assert_it_conforms(WanderingGenerator(propagator_type=Still))
    for segments, says in (
        (other_frames, "replica 0 other frames"),
        (fewer_frames, "another length"),
        (one_replica, "1 segments for 2 replicas"),
    ):
        with pytest.raises(AssertionError, match=says):
            assert_it_conforms(WanderingGenerator(propagator_type=type("Broken", (Still,), {"segments": segments})))
    with pytest.raises(AssertionError, match="changes the state"):
        assert_it_conforms(broken(segments=Still.segments))


def test_an_answer_of_other_atoms_is_refused_when_drawn():
    propagator = broken(segment=whole_molecule).propagator(*peptide("AGSA"))
    with pytest.raises(MDGenError, match="array of shape"):
        draw(propagator, peptide("AGSA")[1][None], [0])
