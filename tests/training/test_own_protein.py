"""The example that goes from a structure to weights of its own and to a figure of its fluctuations."""

import runpy
import sys
from pathlib import Path

import mdtraj
import pytest

from openmm_mdgen.md.structures import write_pdb
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.model import checkpoints
from structures import peptide

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_protein.py"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    topology, positions = peptide("AGAS")
    write_pdb(tmp_path / "mine.pdb", topology, relaxed(topology, positions))

    def go():
        monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path / "mine.pdb"), str(tmp_path / "out"), "--quick"])
        runpy.run_path(str(EXAMPLE), run_name="__main__")
        return capsys.readouterr().out

    return go


def test_from_structure_to_figure_and_what_is_there_is_not_done_again(run, tmp_path):
    first, out = run(), tmp_path / "out"
    assert "not done again" not in first and (out / "rmsf.png").stat().st_size > 5000
    runs = [mdtraj.load(path, top=path.with_suffix(".pdb")) for path in sorted((out / "md").glob("*/*.xtc"))]
    assert [run.n_frames for run in runs] == [12, 12]
    made = mdtraj.load(out / "generated" / "mine_1.xtc", top=out / "generated" / "topology.pdb")
    assert made.n_frames == 12 and made.n_atoms == runs[0].n_atoms
    _, info = checkpoints.load(out / "weights" / "weights.safetensors")
    assert (info.temperature, info.frame_interval, info.n_frames, info.backbone) == (300.0, 1.0, 4, "fitted")

    (out / "rmsf.png").unlink()
    second = run()
    assert [line.split(":")[0] for line in second.splitlines() if "not done again" in line] == [
        "real MD", "training", "generating"
    ]  # fmt: skip
    table = [line for line in first.splitlines() if line.startswith("|")]
    assert table == [line for line in second.splitlines() if line.startswith("|")] and len(table) == 10
    assert (out / "rmsf.png").exists()
