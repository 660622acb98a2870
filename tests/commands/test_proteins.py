"""Proteins from the command: their start is told of, kept and judged, and chains that are too long are refused."""

import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from openmm_mdgen.commands.main import main
from published_weights import write_published

PROTEINS = Path(__file__).parent.parent / "data" / "proteins"
TRP_CAGE = PROTEINS / "trp_cage.pdb"
FRAMES = 276  # bytes of a .dcd file's header, which holds the date


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_published(tmp_path_factory.mktemp("weights") / "atlas.ckpt")


@pytest.fixture
def run(weights, tmp_path, monkeypatch, capsys):
    """Runs ``openmm-mdgen run`` in an empty folder; gives exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    # The comparison with CHARMM's charges takes seconds, and is tested elsewhere.
    monkeypatch.setattr("openmm_mdgen.simulation.honoured.differences", lambda *arguments: [])

    def call(*arguments, generator=weights):
        words = [*map(str, arguments), "--generator", str(generator), "--evaluations", "2", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["openmm-mdgen", "run", *words])
        with pytest.raises(SystemExit) as leaving:
            main()
        return leaving.value.code, *capsys.readouterr()

    return call


def names():
    return {path.name for path in Path().iterdir()}


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_run_given_again_is_the_same_bit_for_bit(run, replicas):
    common = (TRP_CAGE, "--time", "1200ps", "--seed", 3, "--start-iterations", 5, "--replicas", replicas)
    code, out, errors = run(*common, "--out", "a.dcd")
    assert code == 0, errors
    assert "minimising the start: at most 5 iterations" in errors
    assert "the start is kept in a.start.npz: minimisation stopped at its limit" in out
    written = ["a.dcd"] if replicas == 1 else ["a_000.dcd", "a_001.dcd"]
    assert names() == {"a.pdb", "a.start.npz", "a.checkpoint.npz", "a.manifest.json", *written}
    before = [Path(name).read_bytes() for name in ("a.pdb", *written)]
    code, out, errors = run(*common, "--out", "a.dcd", "--force")
    assert code == 0 and "used again" in out and "minimising" not in errors
    after = [Path(name).read_bytes() for name in ("a.pdb", *written)]
    assert before[0] == after[0]
    assert all(one[FRAMES:] == other[FRAMES:] for one, other in zip(before[1:], after[1:], strict=True))
    assert mdtraj.load(written[0], top="a.pdb").n_frames == 3


def test_generation_goes_on_from_the_kept_start(run):
    """Not from one that a simulation has minimised once more."""
    common = (TRP_CAGE, "--time", "400ps", "--seed", 3, "--start-iterations", 5)
    run(*common, "--out", "a.dcd")
    run(*common, "--out", "b.dcd", "--replicas", 2)
    first, second = (np.load(f"{name}.start.npz")["positions"] for name in "ab")
    assert np.abs(first - second).max() < 1e-4
    one, other = (mdtraj.load(f"{name}.dcd", top="a.pdb").xyz for name in ("a", "b_000"))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_file_of_another_kind_is_never_replaced(run):
    Path("a.start.npz").write_text("mine")
    code, out, errors = run(TRP_CAGE, "--time", "400ps", "--out", "a.dcd", "--force")
    assert code == 2 and out == "" and "holds something else" in errors and len(errors.splitlines()) == 1
    assert names() == {"a.start.npz"} and Path("a.start.npz").read_text() == "mine"


def test_a_chain_longer_than_the_weights_take_is_refused_with_the_limit(run, tmp_path):
    small = write_published(tmp_path / "small.ckpt", crop=19)
    code, out, errors = run(TRP_CAGE, "--time", "400ps", "--out", "a.dcd", generator=small)
    assert code == 2 and out == "" and "chain of 20 residues" in errors and "at most 19" in errors
    assert "minimising" not in errors and names() == {"small.ckpt"}


def test_memory_is_told_beforehand_and_what_does_not_fit_is_refused(run, monkeypatch):
    monkeypatch.setattr("openmm_mdgen.generators.sampler.available", lambda device: 2**27)
    common = (TRP_CAGE, "--time", "400ps", "--start-iterations", 5, "--out", "a.dcd")
    code, out, errors = run(*common, "--replicas", 500)
    assert code == 2 and out == "" and names() == set() and "minimising" not in errors
    assert "500 replicas at once, each of 4 frames of 20 residues: about" in errors
    assert "0.125 GiB are available: generate fewer replicas" in errors and len(errors.splitlines()) == 1
    monkeypatch.setattr("openmm_mdgen.generators.memory._LARGE", 2**20)
    code, out, errors = run(*common, "--replicas", 2)
    assert code == 0, errors
    assert "of memory are needed, and 0.125 GiB are available" in out.splitlines()[0]
