"""The measures of a card, of a generator that replays MD and of small weights."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models import INFO, small_forward_flow
from openmm_mdgen.analysis.folders import replicas
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.ode import AdamsBashforth
from openmm_mdgen.report.card import OTHER_HALF, CardPlan, Peptide, of_real_md, of_weights
from openmm_mdgen.report.card_table import tables
from torsion_walks import place, walk

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "card_of_weights.py"
PLAN = CardPlan(nanoseconds=2.0, seconds=20.0, replicas=1, segments=6)


class Replay:
    """A generator that knows MD: a segment is what follows the nearest of its frames."""

    frame_interval, temperature = 10.0, 350.0

    def __init__(self, runs):
        self._xyz = np.concatenate([run.xyz for run in runs])
        self._stride = round(self.frame_interval / runs[0].timestep)

    def check(self, topology):
        self.atom_indices = np.arange(topology.getNumAtoms())

    def propagator(self, topology, positions):
        return self

    def segment(self, positions, seed):
        nearest = int(((self._xyz - positions) ** 2).sum((1, 2)).argmin())
        return self._xyz[np.minimum(nearest + self._stride * np.arange(1, 50), len(self._xyz) - 1)]

    def state(self):
        return {}

    def restore(self, state):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """VSA, two replicas of 2.4 ns."""
    made = tmp_path_factory.mktemp("md")
    for k, seed in enumerate((0, 100)):
        md = place("VSA", walk(480, seed), interval=5.0)
        md[0].save_pdb(str(made / f"VSA_{k}.pdb"))
        md.save_xtc(str(made / f"VSA_{k}.xtc"))
    return made


@pytest.fixture(scope="module")
def vsa(folder):
    return Peptide.of("VSA", replicas(folder)["VSA"])


def test_replicas_are_shared_out_among_both_halves(vsa, folder):
    assert vsa.nanoseconds == (2.4, 2.4) and vsa.interval == 5.0
    assert len(vsa.reference) == len(vsa.other_half) == 1
    alone = Peptide.of("VSA_0", [replicas(folder)["VSA"][0]])
    assert alone.nanoseconds == (1.2, 1.2)
    np.testing.assert_array_equal(alone.other_half[0].xyz[-1], vsa.reference[0].xyz[-1])


@pytest.fixture(scope="module")
def rows(vsa):
    return of_real_md(vsa) | {"replay": of_weights(Replay(vsa.other_half), vsa, PLAN)}


def test_what_replays_md_remembers_as_md_and_goes_where_it_goes(rows):
    found = rows["replay"]
    assert list(found["memory"]["md"]) == ["10 ps", "100 ps", "490 ps"]
    assert found["memory"]["generated"] == pytest.approx(found["memory"]["md"], abs=1e-6)
    assert found["segments"]["generated"] == pytest.approx(found["segments"]["md"], abs=1e-6)
    assert found["nanoseconds"] == 2.0 and found["validity"]["unbroken"] == 1


def test_the_rows_of_md_are_its_other_half_and_beginnings_of_that(rows):
    labels = ["MD, 100 ps", "MD, 1 ns", OTHER_HALF]
    assert list(rows) == [*labels, "replay"]
    apart = [rows[label]["distances"]["torsions (all)"] for label in labels]
    assert apart[0] > apart[1] > apart[2] > 0


def test_a_length_that_no_run_has_is_taken_from_several(rows, vsa):
    (run,) = vsa.other_half
    short = [run[start : start + 120] for start in range(0, 480, 120)]  # 0.6 ns each
    found = of_real_md(replace(vsa, other_half=short))
    assert list(found) == ["MD, 100 ps", "MD, 1 ns", OTHER_HALF]
    whole = rows["MD, 1 ns"]["distances"]["torsions (all)"]
    assert found["MD, 1 ns"]["distances"]["torsions (all)"] == pytest.approx(whole, abs=1e-12)


def test_tables_hold_all_weights_and_say_who_refused(rows, vsa):
    flow = small_forward_flow().eval().requires_grad_(False)
    small = TrajectoryGenerator(flow, INFO, AdamsBashforth(9), torch.device("cpu"))  # takes four residues
    text = "\n".join(tables({"VSA": rows | {"small": of_weights(small, vsa, PLAN)}}, ["replay", "small"]))
    for label in ("replay", "MD, 1 ns", OTHER_HALF):
        assert f"| {label} | {rows[label]['distances']['torsions (bb)']:.3f} |" in text
    remembered = rows["replay"]["memory"]["md"]["100 ps"]
    assert f"| {remembered:.3f} / {remembered:.3f} |" in text
    assert "| mean difference | +0.000 | +0.000 | +0.000 |" in text.replace("-0.000", "+0.000")
    assert "take exactly 4" in text and " / refused / " in text


@pytest.fixture
def script(tmp_path, monkeypatch, capsys):
    """The script on MD of one tetrapeptide that small weights take."""
    angles = {key: series for key, series in walk(120, 5).items() if key[0] > 0 or key[1] == "PSI"}
    md = place("VSAG", angles, interval=10.0)
    (tmp_path / "md").mkdir()
    md[0].save_pdb(str(tmp_path / "md" / "VSAG.pdb"))
    md.save_xtc(str(tmp_path / "md" / "VSAG.xtc"))
    checkpoints.save(tmp_path / "small.safetensors", small_forward_flow(), INFO)

    def run(*options):
        words = [SCRIPT, tmp_path / "small.safetensors", tmp_path / "md", tmp_path / "card", "--nanoseconds", 0.3]
        words += ["--replicas", 1, "--segments", 2, "--device", "cpu", *options]
        monkeypatch.setattr(sys, "argv", [*map(str, words)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_what_the_script_has_measured_it_does_not_measure_again(script, tmp_path, monkeypatch):
    first = script("--training", tmp_path / "md")
    assert "Flow loss: training" in first and "apart by +0.000" in first  # both are the same MD
    kept = sorted(path.name for path in (tmp_path / "card").iterdir())
    assert kept == ["VSAG.real_md.json", "VSAG.small.0.json", "card.json", "card.md"]
    written = (tmp_path / "card" / "card.md").read_text()
    assert "| VSAG | " in written and written in first

    def fails(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr("openmm_mdgen.report.card.of_weights", fails)
    monkeypatch.setattr("openmm_mdgen.report.card.of_real_md", fails)
    assert "| VSAG | " in script()
    with pytest.raises(AssertionError, match="measured again"):
        script("--seed", 3)
    with pytest.raises(SystemExit, match="has no MD of AAAA"):
        script("--peptides", "AAAA")
