"""Design: types on the simplex, what is hidden stays hidden, and the designed peptides are molecules."""

from dataclasses import replace

import mdtraj
import mpmath
import numpy as np
import pytest
import torch
from openmm import unit

from models import SMALL, random_frames, small_flow
from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.generators.design import frequencies
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.designed_peptides import PeptideBuilder
from openmm_mdgen.md.systems import implicit_system
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.dirichlet import DirichletFlow
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.ode import Euler, Midpoint
from openmm_mdgen.model.tasks import EndpointDesign, Inpainting
from openmm_mdgen.model.tokens import Tokenizer
from published import FIXTURES
from torsion_walks import place

DESIGNED = (1, 2)


def generator_of(task, *, n_frames=6, frame_interval=1.0, solver=None):
    flow = small_flow(task).eval().requires_grad_(False)
    info = ModelInfo("small", n_frames, frame_interval, 350.0)
    return TrajectoryGenerator(flow, info, solver or Euler(5), torch.device("cpu"))


@pytest.fixture(scope="module")
def trajectory():
    """(12 frames 1 ps apart) of VSAL, each torsion of its own."""
    rng = np.random.default_rng(0)
    angles = {
        (k, kind): rng.uniform(-3, 3, 12) for k in range(4) for kind in ("PSI", "CHI1") if (k, kind) != (2, "CHI1")
    }
    return place("VSAL", {key: np.sort(value) for key, value in angles.items()}, interval=1.0)


@pytest.fixture(scope="module")
def generator():
    return generator_of(Inpainting(DESIGNED))


@pytest.fixture(scope="module")
def designs(generator, trajectory):
    return generator.inpaint(trajectory, designed=[1, 2], samples=5, seed=1)


def distances(trajectory, first, second):
    """(T,) nm between two atoms, each (residue, name)."""
    i, j = (trajectory.topology.select(f"resid {number} and name {name}")[0] for number, name in (first, second))
    return mdtraj.compute_distances(trajectory, [(i, j)])[:, 0]


def true_factor(b, a):
    """c(b, a) in 100 digits, the derivative by differences there."""
    with mpmath.workdps(100):
        b, a = mpmath.mpf(b), mpmath.mpf(a)
        incomplete = lambda x: mpmath.betainc(x, 19, 0, b, regularized=True)  # noqa: E731
        h = mpmath.mpf(10) ** -25
        slope = (incomplete(a + h) - incomplete(a - h)) / (2 * h)
        return float(-slope * mpmath.beta(a, 19) / ((1 - b) ** 19 * b ** (a - 1)))


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.98, 1.0])
def test_the_factor_is_exact_on_the_whole_simplex(t):
    b = [1e-5, 1e-3, 0.01, 0.05, 0.3, 0.499, 0.501, 0.75, 0.9, 0.99]
    ours = DirichletFlow().factor(torch.tensor(b, dtype=torch.float64), t).numpy()
    np.testing.assert_allclose(ours, [true_factor(x, 1 + 7 * t) for x in b], rtol=1e-9)


def test_the_factor_ends_at_zero_and_at_its_limit():
    at_ends = DirichletFlow().factor(torch.tensor([0.0, 1.0], dtype=torch.float64), 0.0)
    harmonic = sum(1 / k for k in range(1, 20))
    np.testing.assert_allclose(at_ends.numpy(), [0.0, harmonic / 19], atol=1e-12)


def test_the_flow_carries_uniform_states_to_those_of_the_type():
    """With certain logits, states that start uniform end as Dirichlet(8, 1, ..., 1): mean and spread of the type."""
    flow = DirichletFlow()
    generator = torch.Generator().manual_seed(0)
    x = torch.empty(4000, 20, dtype=torch.float64).exponential_(generator=generator)
    x = x / x.sum(-1, keepdim=True)
    logits = torch.full_like(x, -1e3)
    logits[:, 3] = 1e3
    end = Midpoint(40).solve(lambda t, state: flow.velocity(state, logits, t), x).state
    expected = torch.distributions.Dirichlet(torch.tensor([8.0 if k == 3 else 1.0 for k in range(20)]))
    np.testing.assert_allclose(end.mean(0).numpy(), expected.mean.numpy(), atol=0.004)
    np.testing.assert_allclose(end.var(0).numpy(), expected.variance.numpy(), rtol=0.15, atol=2e-4)
    assert end.min() > -1e-6


def test_nothing_of_designed_residues_reaches_the_network():
    """Other types, side chains and poses of designed residues give the same condition."""
    frames, others = random_frames(1), random_frames(2)
    known = torch.tensor([True, False, False, True])
    mixed = replace(
        others,
        aatype=torch.where(known, frames.aatype, others.aatype),
        rigids=type(frames.rigids)(
            torch.where(known[:, None, None], frames.rigids.rotation, others.rigids.rotation),
            torch.where(known[:, None], frames.rigids.translation, others.rigids.translation),
        ),
        torsions=torch.where(known[:, None, None], frames.torsions, others.torsions),
        torsion_mask=torch.where(known[:, None], frames.torsion_mask, torch.zeros(7)),
    )
    flow = small_flow(Inpainting(DESIGNED))
    _, first = flow.condition(frames)
    _, second = flow.condition(mixed)
    for one, two in zip(vars(first).values(), vars(second).values(), strict=True):
        for a, b in zip(
            *((vars(x).values() if not isinstance(x, torch.Tensor) else [x]) for x in (one, two)), strict=True
        ):
            assert torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)  # a temperature that is not told is no number
    free = flow._free(frames, first)[:, 0, 1]
    assert (free[:, -8:] == 0).all() and (free[:, :-8] == 1).all()  # chi of designed residues have no meaning


def test_a_residue_has_one_state_at_all_frames(generator, trajectory):
    flow = generator.flow
    frames = random_frames(3)
    tokens = generator.sample(frames, [1, 2])
    states = tokens[..., flow.config.tokenizer.width :]
    assert (states == states[:, :1]).all()
    torch.testing.assert_close(states.sum(-1), torch.ones(2, 6, 4), atol=1e-4, rtol=0)
    assert states.min() > -1e-3


def test_known_residues_keep_type_and_motion(designs, trajectory):
    assert len(designs) == 5 and len({d.sequence for d in designs}) > 1
    for design in designs:
        assert design.sequence[0] == "V" and design.sequence[3] == "L"
    pairs = [((k, a), (k, b)) for k in (0, 3) for a, b in (("N", "CA"), ("N", "C"), ("CA", "CB"))]
    for first, second in [*pairs, ((0, "CA"), (3, "CA"))]:
        ours, given = (distances(t, first, second) for t in (designs[0].trajectory, trajectory[:6]))
        np.testing.assert_allclose(ours, given, atol=0.01 if first[0] == second[0] else 1e-4)


def test_longer_trajectories_are_used_to_their_end(generator, trajectory):
    """Windows of six frames in twelve: the first sample has the first, the last the last."""
    made = generator.inpaint(trajectory, samples=3, seed=1)
    for design, start in zip(made, (0, 3, 6), strict=True):
        window = trajectory[start : start + 6]
        ours, given = (distances(t, (0, "CA"), (3, "CA")) for t in (design.trajectory, window))
        np.testing.assert_allclose(ours, given, atol=1e-4)


def test_frequencies_count_and_sort(designs):
    counts = frequencies(designs)
    assert sum(n for _, n in counts) == 5
    assert [n for _, n in counts] == sorted((n for _, n in counts), reverse=True)


def test_a_designed_peptide_is_a_whole_molecule_that_openmm_takes(designs):
    from openmm import Context, Platform, VerletIntegrator

    design = designs[0]
    peptide = PeptideBuilder().all_atoms(design)
    assert peptide.frames.shape[:2] == (6, peptide.topology.getNumAtoms())
    context = Context(
        implicit_system(peptide.topology), VerletIntegrator(0.001), Platform.getPlatformByName("Reference")
    )
    context.setPositions(peptide.positions)
    energy = context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    assert np.isfinite(energy) and energy < 0
    for a, b in peptide.topology.bonds():
        lengths = np.linalg.norm(peptide.frames[:, a.index] - peptide.frames[:, b.index], axis=-1)
        assert (lengths > 0.08).all() and (lengths < 0.21).all(), (a, b)
    codes = "".join(mdtraj.Topology.from_openmm(peptide.topology).to_fasta())
    assert codes == design.sequence


def test_the_endpoint_baseline_gives_sequences_in_the_networks_proportions(trajectory):
    """Two frames five intervals apart, types alone: drawn as often as the network says."""
    generator = generator_of(EndpointDesign(DESIGNED), n_frames=2, frame_interval=5.0)
    made = generator.inpaint(trajectory[:6], samples=600, seed=2)
    assert all(d.trajectory is None and d.sequence[0] == "V" and d.sequence[3] == "L" for d in made)
    frames = generator_frames(trajectory[[0, 5]])
    with torch.no_grad():
        expected = generator.flow.type_logits(frames).softmax(-1)[0, 1]
    from openmm_mdgen.geometry.residues import RESTYPES

    found = np.array([sum(d.sequence[1] == letter for d in made) for letter in RESTYPES]) / 600
    np.testing.assert_allclose(found, expected.numpy(), atol=0.06)


def generator_frames(trajectory):
    from openmm_mdgen.generators.design import _frames
    from openmm_mdgen.molecule.chain import ProteinChain

    chain = ProteinChain.from_openmm(trajectory.topology.to_openmm()).resolved(trajectory.xyz[0])
    return _frames(chain, trajectory.xyz[None].astype(float))


@pytest.mark.parametrize("task", [Inpainting(DESIGNED), EndpointDesign(DESIGNED)], ids=lambda t: type(t).__name__)
def test_a_network_learns_which_types_go_with_a_motion(task):
    """Designed types follow from the distance between the known residues: learned, and recovered by sampling."""
    torch.manual_seed(0)
    n = 48
    base = random_frames(1, n_batch=n, n_frames=2)
    far = torch.arange(n) % 2 == 0
    translation = base.rigids.translation.clone()
    translation[:, :, 3] = translation[:, :, 0] + torch.where(far, 9.0, 4.0)[:, None, None] * torch.tensor([1.0, 0, 0])
    aatype = torch.zeros_like(base.aatype)
    aatype[:, 1:3] = torch.where(far, 7, 12)[:, None]
    frames = replace(base, aatype=aatype, rigids=type(base.rigids)(base.rigids.rotation, translation))
    tokenizer = Tokenizer(n_key_frames=2)
    network = NetworkConfig(
        **{**SMALL, "width": 32, "n_frames": 2}, token_width=tokenizer.width, n_key_frames=2, designs=True
    )
    flow = TrajectoryFlow(FlowConfig(network, tokenizer, task))
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
    first = None
    for _ in range(120):
        t = torch.rand(n)
        states = torch.distributions.Dirichlet(flow.config.simplex.parameters(aatype, t)).sample()
        loss = flow.loss(frames, torch.randn(n, 2, 4, tokenizer.width), t, states).mean()
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < first
    if task.generates_motion:
        drawn = torch.empty(n, 4, 20).exponential_()
        noise = torch.cat(
            [torch.randn(n, 2, 4, 28), (drawn / drawn.sum(-1, keepdim=True))[:, None].expand(n, 2, 4, 20)], -1
        )
        types = flow.sample(frames, noise, Euler(20)).tokens[..., 28:].mean(1).argmax(-1)
    else:
        types = flow.type_logits(frames).argmax(-1)
    assert (types[:, 1:3] == aatype[:, 1:3]).float().mean() > 0.9


def test_published_inpainting_samples_designs(trajectory):
    """A checkpoint of the published form: untrained, so any letters, but whole sequences and finite motion."""
    generator = TrajectoryGenerator.load(FIXTURES / "design.ckpt", task="inpainting", device="cpu", evaluations=6)
    config = generator.flow.config
    assert not config.task.hides_designed and not config.simplex.exact and not config.simplex.per_residue
    generator.frame_interval = 1.0
    made = generator.inpaint(trajectory, samples=2, seed=1)
    assert all(np.isfinite(d.trajectory.xyz).all() and len(d.sequence) == 4 for d in made)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"designed": [1, 4]}, "residue 4"),
        ({"designed": [-1, 2]}, "residue -1"),
        ({"designed": [0, 1, 2, 3]}, "all residues"),
        ({"designed": []}, "none"),
        ({"designed": [1]}, "residue SER 2"),
        ({"samples": 0}, "at least one"),
        ({"frame_interval": 0.7}, "0.7 ps"),
        ({"frame_interval": 2.0}, "2 ps"),
        ({"frame_interval": -1.0}, "above 0"),
    ],
    ids=str,
)
def test_designs_that_cannot_be_are_refused(generator, trajectory, options, says):
    with pytest.raises(MDGenError, match=says):
        generator.inpaint(trajectory, **options)


@pytest.mark.parametrize(("frames", "says"), [(slice(1), "at least two"), (slice(5), "longer")], ids=["one", "five"])
def test_trajectories_too_short_to_design_for_are_refused(generator, trajectory, frames, says):
    with pytest.raises(MDGenError, match=says):
        generator.inpaint(trajectory[frames])


def test_finer_frames_are_thinned(generator, trajectory):
    """Twelve frames at half the interval hold one window of six."""
    made = generator.inpaint(trajectory, frame_interval=0.5, samples=1)
    ours, given = (distances(t, (0, "CA"), (3, "CA")) for t in (made[0].trajectory, trajectory[:11:2]))
    np.testing.assert_allclose(ours, given, atol=1e-4)


def test_sequences_without_motion_have_no_frames_to_complete(trajectory):
    generator = generator_of(EndpointDesign(DESIGNED), n_frames=2, frame_interval=5.0)
    with pytest.raises(MDGenError, match="without motion"):
        PeptideBuilder().all_atoms(generator.inpaint(trajectory)[0])


def test_bundled_weights_are_refused_unless_chance_is_accepted(trajectory):
    """Each that comes with the package and designs residues; under another name too."""
    bundled = TrajectoryGenerator.load(task="inpainting", device="cpu", evaluations=9)
    long = mdtraj.Trajectory(np.tile(trajectory.xyz, (9, 1, 1)), trajectory.topology, time=np.arange(108.0))
    with pytest.raises(CheckpointError, match=r"3\.8% of the residues.*chance finds 5\.0%.*accept_chance=True"):
        bundled.inpaint(long)
    renamed = TrajectoryGenerator(bundled.flow, replace(bundled.info, name="mine"), bundled.solver, bundled.device)
    with pytest.raises(CheckpointError, match="'mine'"):
        renamed.inpaint(long)
    (design,) = bundled.inpaint(long, accept_chance=True)
    assert design.sequence[0] == "V" and design.sequence[3] == "L" and design.trajectory.n_frames == 50
