"""Interpolants, solvers, the simplex flow, tokens and the network's symmetries."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import SMALL, random_flow, random_frames
from openmm_mdgen.geometry.rigid import Rigid, rotation_from_quaternion
from openmm_mdgen.model import ode
from openmm_mdgen.model.dirichlet import DirichletFlow
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.interpolant import GVP, INTERPOLANTS, VP, Linear
from openmm_mdgen.model.network import NetworkConfig, velocity
from openmm_mdgen.model.tasks import ForwardSimulation, Inpainting, Interpolation, Upsampling
from openmm_mdgen.model.tokens import Frames, Tokenizer
from published import FIXTURES, MODELS, Case


@pytest.mark.parametrize("name", INTERPOLANTS)
def test_interpolants_equal_the_reference(name):
    stored = np.load(FIXTURES / "paths.npz")
    key = {"Linear": "linear", "GVP": "gvp", "VP": "vp"}[name]
    inside = stored["t"] < 1  # sigma' of VP diverges at 1
    t = torch.from_numpy(stored["t"])[inside]
    interpolant = INTERPOLANTS[name]()
    x0, x1 = (torch.from_numpy(stored[k])[inside] for k in ("x0", "x1"))
    np.testing.assert_allclose(interpolant.interpolate(x0, x1, t), stored[f"{key}.xt"][inside], atol=1e-10)
    np.testing.assert_allclose(interpolant.target(x0, x1, t), stored[f"{key}.ut"][inside], atol=1e-9, rtol=1e-10)


@pytest.mark.parametrize("interpolant", [Linear(), GVP(), VP()])
def test_the_target_is_the_derivative_of_the_path(interpolant):
    generator = torch.Generator().manual_seed(0)
    x0, x1 = torch.randn(2, 9, 3, generator=generator, dtype=torch.float64)
    t = torch.linspace(0.05, 0.95, 9, dtype=torch.float64)
    h = 1e-6
    difference = (interpolant.interpolate(x0, x1, t + h) - interpolant.interpolate(x0, x1, t - h)) / (2 * h)
    torch.testing.assert_close(interpolant.target(x0, x1, t), difference, rtol=1e-6, atol=1e-7)


def test_training_times_cover_the_interval_evenly():
    t = GVP().draw_times(64, torch.Generator().manual_seed(0)).sort().values
    assert (t >= torch.arange(64) / 64).all() and (t <= torch.arange(1, 65) / 64).all()


ORDERS = {"euler": 1, "midpoint": 2, "heun": 2, "multistep": 3, "rk4": 4}


@pytest.mark.parametrize("name, order", ORDERS.items())
def test_solver_order(name, order):
    """Halving the step divides the error by 2^order, on x' = x cos(t), x(0) = 1, with exact x(1) = exp(sin 1)."""
    x = torch.ones(1, 1, dtype=torch.float64)
    errors = []
    for steps in (40, 80, 160):
        kind = ode.SOLVERS[name]
        if name == "multistep":
            solver = kind(steps + 6)
        else:
            solver = kind(steps * kind.evaluations_per_step)
        solution = solver.solve(lambda t, y: y * math.cos(t), x)
        assert solution.evaluations == solver.evaluations
        errors.append(abs(float(solution.state) - math.exp(math.sin(1))))
    measured = math.log2(errors[1] / errors[2])
    assert abs(measured - order) < 0.25, measured


def test_reported_evaluations_are_those_made():
    for solver in (ode.Euler(7), ode.Heun(8), ode.AdamsBashforth(12), ode.DormandPrince()):
        calls: list[float] = []
        solution = solver.solve(lambda t, y, calls=calls: calls.append(t) or -y, torch.ones(1, 1))
        assert solution.evaluations == len(calls)
        assert max(calls) <= 1.0 and min(calls) >= 0.0


def test_the_times_of_a_solver_are_those_at_which_it_evaluates():
    for solver in (ode.Euler(7), ode.Midpoint(8), ode.Heun(8), ode.RungeKutta4(8), ode.AdamsBashforth(12)):
        calls: list[float] = []
        solver.solve(lambda t, y, calls=calls: calls.append(t) or -y, torch.ones(1, 1), (0.0, 0.9))
        assert solver.times((0.0, 0.9)) == list(dict.fromkeys(calls))
    assert ode.DormandPrince().times() == []


def test_adaptive_solver_is_as_accurate_as_asked_and_independent_of_the_batch():
    rates = torch.tensor([[1.0], [8.0]], dtype=torch.float64)
    solver = ode.DormandPrince(1e-6, 1e-9)
    both = solver.solve(lambda t, y: -rates * y, torch.ones(2, 1, dtype=torch.float64))
    torch.testing.assert_close(both.state, torch.exp(-rates), rtol=1e-4, atol=1e-6)
    repeated = solver.solve(lambda t, y: -rates[[1, 1, 1]] * y, torch.ones(3, 1, dtype=torch.float64))
    alone = solver.solve(lambda t, y: -rates[[1]] * y, torch.ones(1, 1, dtype=torch.float64))
    torch.testing.assert_close(repeated.state[:1], alone.state, rtol=0, atol=1e-14)


@pytest.mark.parametrize("make", [lambda: ode.Heun(5), lambda: ode.Euler(0), lambda: ode.AdamsBashforth(5)])
def test_impossible_numbers_of_evaluations_are_refused(make):
    with pytest.raises(ValueError, match="evaluat"):
        make()


def test_adaptive_solver_stops_on_values_that_are_not_finite():
    with pytest.raises(RuntimeError, match="finite"):
        ode.DormandPrince().solve(lambda t, y: y * math.nan, torch.ones(1, 1))


def test_dirichlet_factor_is_the_analytic_one_where_its_table_is_good():
    stored = np.load(FIXTURES / "dirichlet.npz")
    b = stored["c_true_bs"]
    good = (b > 0.03) & (b < 0.7)
    for alpha, row in zip(stored["alphas"], stored["c_true"], strict=True):
        if alpha < 1.01 or alpha > 7.99:
            continue
        ours = DirichletFlow().factor(torch.from_numpy(b), (alpha - 1) / 7).numpy()
        np.testing.assert_allclose(ours[good], row[good], rtol=6e-3)


def test_dirichlet_flow_stays_on_the_simplex():
    x = torch.distributions.Dirichlet(torch.ones(20, dtype=torch.float64)).sample((5,))
    velocity = DirichletFlow().velocity(x, torch.randn(5, 20, dtype=torch.float64), 0.3)
    torch.testing.assert_close(velocity.sum(-1), torch.zeros(5, dtype=torch.float64), atol=1e-9, rtol=0)


def test_design_velocity_equals_the_reference():
    assert "design" in MODELS
    case = Case("design", torch.float64)
    stored = case["fwd.inference_f64"]
    out = case["fwd.out_f64"]
    x_d = case["fwd.x"][..., 28:]
    ours = case.flow.config.simplex.velocity(x_d, out[..., 28:], float(case["fwd.t"][0]))
    torch.testing.assert_close(ours, stored[..., 28:], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_key_frames", [1, 2])
def test_tokens_decode_to_the_frames_they_came_from(n_key_frames):
    frames = random_frames(3)
    shift = tuple(np.linspace(-1, 1, 7 * n_key_frames + 14))
    scale = tuple(np.linspace(0.5, 2, 7 * n_key_frames + 14))
    tokenizer = Tokenizer(n_key_frames=n_key_frames, shift=shift, scale=scale)
    rigids, torsions = tokenizer.decode(tokenizer.encode(frames), frames.rigids[:, 0])
    torch.testing.assert_close(rigids.rotation, frames.rigids.rotation, atol=1e-5, rtol=0)
    torch.testing.assert_close(rigids.translation, frames.rigids.translation, atol=1e-5, rtol=0)
    defined = frames.torsion_mask[:, None, ..., None]
    torch.testing.assert_close(torsions * defined, frames.torsions * defined, atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_tokens_do_not_depend_on_the_pose(seed):
    frames = random_frames(seed)
    generator = torch.Generator().manual_seed(seed)
    motion = Rigid(
        rotation_from_quaternion(torch.randn(2, 1, 1, 4, generator=generator)),
        torch.randn(2, 1, 1, 3, generator=generator),
    )
    moved = Frames(frames.aatype, motion @ frames.rigids, frames.torsions, frames.torsion_mask, frames.residue_mask)
    tokens, again = (Tokenizer(n_key_frames=2).encode(f) for f in (frames, moved))
    torch.testing.assert_close(again[..., 4:7], tokens[..., 4:7], atol=1e-4, rtol=0)
    clear = tokens[..., 0] > 0.05  # at half a turn the sign of the quaternion is a matter of rounding
    torch.testing.assert_close(again[..., :4][clear], tokens[..., :4][clear], atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "config", [{}, {"interleave_ipa": True}, {"time_mixer": "hyena"}, {"n_key_frames": 2}], ids=str
)
def test_the_network_is_invariant_to_a_common_motion_of_the_key_frames(config):
    frames = random_frames(5)
    n_key_frames = config.get("n_key_frames", 1)
    network = NetworkConfig(token_width=7 * n_key_frames + 14, **SMALL, **config)
    task = Interpolation() if n_key_frames == 2 else ForwardSimulation()
    flow = random_flow(FlowConfig(network, Tokenizer(n_key_frames=n_key_frames), task)).double()
    frames = frames.to(torch.float64)
    motion = Rigid(rotation_from_quaternion(torch.randn(1, 1, 1, 4).double()), 10 * torch.randn(1, 1, 1, 3).double())
    moved = Frames(frames.aatype, motion @ frames.rigids, frames.torsions, frames.torsion_mask, frames.residue_mask)
    tokens, condition = flow.condition(frames)
    _, moved_condition = flow.condition(moved)
    x = torch.randn_like(tokens)
    t = torch.full((2,), 0.4, dtype=torch.float64)
    out, again = (flow.network(x, t, c) for c in (condition, moved_condition))
    torch.testing.assert_close(again, out, atol=1e-5, rtol=0)
    assert out.abs().max() > 0.1


@pytest.mark.parametrize("temperatures", [(300.0, 300.0), (300.0, 350.0)])
@pytest.mark.parametrize("n_key_frames", [1, 2])
def test_what_is_told_ahead_is_what_is_told_one_by_one(n_key_frames, temperatures, monkeypatch):
    task = ForwardSimulation() if n_key_frames == 1 else Interpolation()
    tokenizer = Tokenizer(n_key_frames=n_key_frames)
    options = {"token_width": tokenizer.width, "n_key_frames": n_key_frames, "termini": True, "temperature": True}
    network = NetworkConfig(**SMALL, **options, start_in_every_frame=True, position_embedding=False)
    flow = random_flow(FlowConfig(network, tokenizer, task)).double()
    frames = dataclasses.replace(random_frames(1, n_batch=2), temperature=torch.tensor(temperatures)).to(torch.float64)
    tokens, condition = flow.condition(frames)
    monkeypatch.setattr(velocity, "_KEY_TOKENS_AT_ONCE", 3 * 2 * 4)  # some times after the others
    times = [0.0, 0.1, 0.25, 0.5, 0.9]
    ahead = flow.network.told_ahead(condition, times)
    assert list(ahead) == times
    x = torch.randn(tokens.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for t in times:
            at_once = flow.network.evaluate(x, ahead[t], condition)
            torch.testing.assert_close(at_once, flow.network(x, x.new_full((2,), t), condition), rtol=1e-9, atol=1e-9)
    with flow.network.sampling(), torch.no_grad():
        kept = flow.network(x, x.new_full((2,), 0.5), condition)
    torch.testing.assert_close(kept, flow.network.evaluate(x, ahead[0.5], condition).detach(), rtol=1e-9, atol=1e-9)


def test_padding_does_not_reach_real_residues():
    frames = random_frames(7, n_residues=6)
    network = NetworkConfig(max_residues=6, position_embedding=False, **SMALL)
    flow = random_flow(FlowConfig(network, Tokenizer(), ForwardSimulation()))
    padded = Frames(
        frames.aatype, frames.rigids, frames.torsions, frames.torsion_mask, torch.tensor([[1.0] * 4 + [0.0] * 2] * 2)
    )
    short = Frames(
        frames.aatype[:, :4],
        frames.rigids[:, :, :4],
        frames.torsions[:, :, :4],
        frames.torsion_mask[:, :4],
        torch.ones(2, 4),
    )
    x, t = torch.randn(2, 6, 6, 21), torch.tensor([0.2, 0.7])
    long_out = flow.network(x, t, flow.condition(padded)[1])[:, :, :4]
    torch.testing.assert_close(long_out, flow.network(x[:, :, :4], t, flow.condition(short)[1]), atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    "task, known",
    [
        (ForwardSimulation(), [[0], [0, 1, 2, 3]]),
        (Interpolation(), [[0, 8], [0, 1, 2, 3]]),
        (Upsampling(4), [[0, 4, 8], [0, 1, 2, 3]]),
        (Inpainting((1, 2)), [list(range(9)), [0, 3]]),
    ],
)
def test_each_task_knows_what_it_should(task, known):
    expected = torch.zeros(9, 4, dtype=torch.bool)
    expected[np.ix_(*known)] = True
    assert torch.equal(task.condition_mask(9, 4), expected)


def test_known_tokens_and_undefined_channels_are_held():
    frames = random_frames(11)
    flow = random_flow(FlowConfig(NetworkConfig(**SMALL), Tokenizer(), ForwardSimulation()))
    sample = flow.sample(frames, torch.randn(2, 6, 4, 21), ode.Euler(5))
    tokens = flow.config.tokenizer.encode(frames)
    assert torch.equal(sample.tokens[:, 0], tokens[:, 0])
    assert (sample.tokens[:, :, 0, 7:11] == 0).all()  # omega and phi of the first residue
    assert (sample.tokens[:, 1:, 1:] != tokens[:, 1:, 1:]).all()


def test_a_small_network_learns_a_distribution():
    """Trained on frames that turn one torsion to one of two values, samples land on those values."""
    torch.manual_seed(0)
    base = random_frames(1, n_batch=64, n_frames=3)
    first = base.repeat_first(3)
    angles = torch.where(torch.rand(64, 3, 4) < 0.5, 1.0, -2.0)
    torsions = torch.stack([angles.sin(), angles.cos()], dim=-1)[..., None, :].expand(64, 3, 4, 7, 2)
    one_residue = Rigid(
        first.rigids.rotation[:1].expand(64, 3, 4, 3, 3), first.rigids.translation[:1].expand(64, 3, 4, 3)
    )
    aatype = torch.zeros_like(base.aatype)
    frames = Frames(aatype, one_residue, torsions, base.torsion_mask, base.residue_mask)
    flow = TrajectoryFlow(FlowConfig(NetworkConfig(**{**SMALL, "width": 32}), Tokenizer(), ForwardSimulation()))
    optimizer = torch.optim.Adam(flow.parameters(), lr=5e-3)
    for _ in range(250):
        loss = flow.loss(frames, torch.randn(64, 3, 4, 21), torch.rand(64)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sample = flow.sample(frames, torch.randn(64, 3, 4, 21), ode.Midpoint(20))
    _, generated = flow.config.tokenizer.decode(sample.tokens[:, 1:], frames.rigids[:, 0])
    psi = torch.atan2(generated[..., 2, 0], generated[..., 2, 1])
    distance = torch.minimum((psi - 1.0).abs(), (psi + 2.0).abs())
    assert (distance < 0.35).float().mean() > 0.9
    assert 0.3 < (psi > 0).float().mean() < 0.7


@pytest.mark.parametrize("n_batch", [1, 2])
def test_half_precision_is_near_full_precision(n_batch):
    flow = random_flow(FlowConfig(NetworkConfig(**SMALL), Tokenizer(), ForwardSimulation()), scale=0.1)
    tokens, condition = flow.condition(random_frames(1, n_batch=n_batch))
    x, t = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(0)), torch.full((n_batch,), 0.4)
    with torch.no_grad():
        full = flow.network(x, t, condition)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = flow.network(x, t, condition)
    assert 0 < float((half - full).square().mean() / full.square().mean()) < 1e-3
