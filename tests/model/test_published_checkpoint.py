"""Checkpoints of the published form, and the numbers that the reference program computed with them.

Every configuration in the folder of fixtures is walked: ``NAME.ckpt`` with ``NAME.npz``. Tolerances are those that the
makers of the fixtures state.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from openmm_mdgen.generators.sampler import Sampler
from openmm_mdgen.geometry import atom14
from openmm_mdgen.model import checkpoints, ode
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.tasks import Condition
from openmm_mdgen.model.tokens import Frames
from published import FIXTURES, MODELS, Case, assert_close

PRECISIONS = [pytest.param(torch.float32, id="f32"), pytest.param(torch.float64, id="f64")]


@pytest.fixture(params=PRECISIONS)
def dtype(request):
    return request.param


@pytest.fixture(params=MODELS)
def case(request, dtype):
    return Case(request.param, dtype)


def forward_tolerance(dtype: torch.dtype) -> float:
    return 5e-6 if dtype == torch.float32 else 1e-10


def test_there_are_fixtures():
    assert MODELS, f"no checkpoints in {FIXTURES}"


@pytest.mark.parametrize("name", MODELS)
def test_every_key_loads_and_none_is_left_over(name):
    with torch.serialization.safe_globals([argparse.Namespace]):
        stored = torch.load(FIXTURES / f"{name}.ckpt", weights_only=True)["state_dict"]
    flow, _ = checkpoints.load(FIXTURES / f"{name}.ckpt")
    ours = flow.network.state_dict()
    assert {f"model.{k}" for k in ours} == set(stored)
    for key, value in ours.items():
        assert torch.equal(value, stored[f"model.{key}"]), key


def layouts():
    content = {"published_commands": {}, "small_variants": {}}
    for path in FIXTURES.glob("checkpoint_layout.json*"):
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as file:
            content = json.load(file)
    groups = {**content["published_commands"], **content["small_variants"]}
    return [pytest.param(v, id=k) for k, v in groups.items() if not v["hyper_parameters"]["args"]["no_frames"]]


@pytest.mark.parametrize("layout", layouts())
def test_published_sizes_have_the_published_names_and_shapes(layout):
    with torch.device("meta"):
        flow = TrajectoryFlow(checkpoints.published_config(layout["hyper_parameters"]["args"]))
    ours = {f"model.{k}".replace("model.model.", "model."): list(v.shape) for k, v in flow.network.state_dict().items()}
    theirs = {
        row[0] if row[0].startswith("model.") else f"model.{row[0]}": list(row[1]) for row in layout["state_dict"]
    }
    assert ours == theirs


def test_rigids_and_torsions_of_real_coordinates(case):
    positions = case["train.atom14"]
    frames = Frames.from_atom14(case["train.aatype"], positions)
    assert_close(case.real(frames.rigids.rotation), case.real(case["train.rots"]), 5e-6)
    assert_close(case.real(frames.rigids.translation), case.real(case["train.trans"]), 5e-6)
    defined = case["train.torsion_mask"][:, None, ..., None]
    assert_close(case.real(frames.torsions * defined), case.real(case["train.torsions"] * defined), 1e-5)


def test_tokens_condition_and_masks(case):
    frames = case.frames("train")
    tokens, condition = case.flow.condition(frames)
    assert_close(case.real(tokens), case.real(case["train.latents"]), 5e-6)
    assert_close(case.real(condition.tokens), case.real(case["train.x_cond"]), 5e-6)
    assert torch.equal(condition.mask, case["train.cond_mask"])
    assert torch.equal(condition.aatype, case["train.aatype_in"])
    counted = case.flow.config.tokenizer.channel_mask(frames)[:, None].expand(tokens.shape)
    assert torch.equal(counted, case["train.loss_mask"])


def test_network_output(case):
    condition = case.condition("train")
    condition = Condition(**{**vars(condition), "tokens": case["train.x_cond"]})
    out = case.flow.network(case["fwd.x"], case["fwd.t"], condition)
    assert_close(case.real(out), case.real(case.computed("fwd.out")), forward_tolerance(case.dtype))


def test_network_output_with_canonical_quaternion_signs(case):
    if f"fwd.out_canon{case.suffix}" not in case:
        assert case.flow.config.network.n_key_frames == 1
        return
    stored = case.condition("train")
    flipped = {
        field: torch.cat([torch.where(v[..., :1] < 0, -v[..., :4], v[..., :4]), v[..., 4:]], dim=-1)
        for field, v in (("end_from_start", stored.end_from_start), ("start_from_end", stored.start_from_end))
    }
    condition = Condition(**{**vars(stored), **flipped, "tokens": case["train.x_cond"]})
    out = case.flow.network(case["fwd.x"], case["fwd.t"], condition)
    assert_close(out, case.computed("fwd.out_canon"), forward_tolerance(case.dtype))


def test_training_loss(case, monkeypatch):
    frames = case.frames("train")
    # The stored run's latents, rounded to float32, and quaternion signs; that ours agree is tested above.
    condition = Condition(**{**vars(case.condition("train")), "tokens": case["train.x_cond"]})
    monkeypatch.setattr(case.flow, "condition", lambda _: (case["train.latents"], condition))
    type_noise = case["train.x_d"] if "train.x_d" in case else None
    loss = case.flow.loss(frames, case["train.x0"], case["train.t"], type_noise)
    assert_close(loss, case.computed("train.loss"), 1e-5 if case.dtype == torch.float32 else 1e-10)
    x_t = case.flow.interpolant.interpolate(case["train.x0"], case["train.latents"], case["train.t"])
    assert_close(x_t, case["train.xt"], 5e-6)
    target = case.flow.interpolant.target(case["train.x0"], case["train.latents"], case["train.t"])
    assert_close(target, case["train.ut"], 5e-6)


def sample(case, solver, monkeypatch):
    frames = case.frames("infer")
    tokens, condition = case.flow.condition(frames)
    assert_close(case.real(condition.tokens), case.real(case["infer.x_cond"]), 5e-6)
    assert torch.equal(condition.mask, case["infer.cond_mask"])
    values = {**vars(condition), "tokens": case["infer.x_cond"]}
    if case.flow.config.network.n_key_frames == 2:
        values |= {"end_from_start": case.computed("fwd.rel_fwd"), "start_from_end": case.computed("fwd.rel_rev")}
    monkeypatch.setattr(case.flow, "condition", lambda _: (case["infer.latents"], Condition(**values)))
    return frames, case.flow.sample(frames, case["infer.noise"], solver)


@pytest.mark.parametrize("steps", [10, 49])
def test_euler_sampling(case, steps, monkeypatch):
    _, result = sample(case, ode.Euler(steps), monkeypatch)
    tolerance = 2e-5 if case.dtype == torch.float32 else 1e-10
    assert result.evaluations == steps
    assert_close(case.real(result.tokens), case.real(case.computed(f"infer.euler{steps}")), tolerance)


@pytest.mark.parametrize("name", [m for m in MODELS if "infer.exact_f64" in np.load(FIXTURES / f"{m}.npz")])
def test_adaptive_sampling_meets_the_solver_independent_answer(name, monkeypatch):
    case = Case(name, torch.float64)
    _, result = sample(case, ode.DormandPrince(1e-6, 1e-8), monkeypatch)
    assert_close(case.real(result.tokens), case.real(case["infer.exact_f64"]), 1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_decoded_sample(name):
    case = Case(name, torch.float32)
    frames = case.frames("infer")
    method = str(case.arrays["infer.method"])
    tokens = case[f"infer.{'euler49' if method == 'euler' else 'dopri5'}_f32"]
    rigids, torsions = case.flow.config.tokenizer.decode(tokens, frames.rigids[:, 0])
    aatype = case["train.aatype"][:, None].expand(tokens.shape[:3])
    positions = atom14.atom14_from_rigids(aatype, rigids, torsions)
    assert_close(case.real(positions), case.real(case["infer.atom14"]), 1e-4)
    if "infer.next_rots" in case:  # the start of the next segment
        last = Frames.from_atom14(case["train.aatype"], positions[:, -1:])
        stored = (case[f"infer.next_{key}"][:, None] for key in ("rots", "trans", "torsions"))
        defined = case["train.torsion_mask"][:, None, ..., None]
        for ours, theirs, tolerance in zip(
            (last.rigids.rotation, last.rigids.translation, last.torsions * defined),
            (next(stored), next(stored), next(stored) * defined),
            (5e-6, 1e-4, 1e-5),
            strict=True,
        ):
            assert_close(case.real(ours), case.real(theirs), tolerance)


@pytest.mark.parametrize(
    "name, solver, evaluations", [("atlas", "midpoint", 18), ("tps", "midpoint", 18), ("design", "euler", 49)]
)
def test_published_weights_are_sampled_with_few_evaluations_unless_asked_otherwise(name, solver, evaluations):
    path = FIXTURES / f"{name}.ckpt"
    assert Sampler.load(path, device="cpu").solver == ode.SOLVERS[solver](evaluations)
    assert Sampler.load(path, device="cpu", evaluations=12).solver == ode.SOLVERS[solver](12)
    assert Sampler.load(path, device="cpu", ode_solver="dopri5").solver == ode.DormandPrince()
    assert Sampler.load(path, device="cpu", ode_solver="heun").solver == ode.Heun()


def test_the_solver_of_published_weights_is_what_the_tables_show():
    """Of what is as good as dopri5 in all tables at a quarter of its evaluations, that of the smallest mean error."""
    page = (Path(__file__).parents[2] / "docs" / "evaluations.md").read_text(encoding="utf-8")
    tables = []
    for section in page.split("\n## ")[1:]:
        lines = [line for line in section.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
        tables.append({(row[0], int(row[1])): row for row in rows})
    assert len(tables) == 3
    fewest = min(n for table in tables for name, n in table if name == "dopri5")
    as_good = [
        key
        for key in tables[0]
        if key[1] <= fewest / 4 and all(table.get(key, [""] * 9)[8] == "yes" for table in tables)
    ]
    best = min(as_good, key=lambda key: sum(float(table[key][3]) for table in tables))
    assert len(as_good) > 3 and ode.for_published("dopri5") == best
