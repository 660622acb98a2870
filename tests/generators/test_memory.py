"""Memory of a batch: stated beforehand, and refused where there is not enough."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models import INFO, SMALL, small_forward_flow
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.generators import memory
from openmm_mdgen.generators.memory import Memory, available, needed
from openmm_mdgen.generators.sampler import Sampler, solver_of
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.model.network import NetworkConfig
from structures import peptide

GIB = 2**30
PEAK = """
import sys, torch
from models import random_flow
from openmm_mdgen.generators.sampler import Sampler, frames_of, solver_of
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.model.tokens import Tokenizer
from openmm_mdgen.molecule.chain import ProteinChain
from structures import peptide

def kib(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name))

replicas, n_frames = int(sys.argv[1]), int(sys.argv[2])
topology, positions = peptide("ACDEFGHIKLMNPQRS")
network = NetworkConfig(width=96, n_layers=1, n_heads=6, max_residues=16, n_frames=n_frames, position_embedding=False)
flow = random_flow(FlowConfig(network, Tokenizer(), ForwardSimulation()), scale=0.02)
info = ModelInfo("w", n_frames, 10.0, 300.0, backbone="rigids")
sampler = Sampler(flow, info, solver_of("heun", 2), torch.device("cpu"))
chain = ProteinChain.from_openmm(topology)
frames = frames_of(chain, positions[None, None].repeat(replicas, 0)).repeat_first(n_frames)
before = kib("VmRSS")
sampler.sample(frames, range(replicas))
print((kib("VmHWM") - before) * 1024, sampler.memory_of(16, replicas).needed)
"""


@pytest.fixture
def little(monkeypatch):
    """Sets how many bytes are available."""

    def patched(size):
        monkeypatch.setattr("openmm_mdgen.generators.sampler.available", lambda device: size)

    return patched


@pytest.fixture
def sampler():
    return Sampler(small_forward_flow(), INFO, solver_of("euler", 2), torch.device("cpu"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read as Linux tells them")
@pytest.mark.parametrize(("replicas", "n_frames"), [(4, 500), (1, 1000)])
def test_the_estimate_is_near_the_measured_peak(replicas, n_frames):
    helpers = Path(__file__).parent.parent / "helpers"
    code = f"import sys; sys.path.insert(0, {str(helpers)!r}); " + PEAK
    done = subprocess.run(
        [sys.executable, "-c", code, str(replicas), str(n_frames)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    peak, estimate = map(int, done.stdout.split())
    assert peak < estimate < 2 * peak + memory._BESIDES


def test_more_of_anything_needs_more():
    network = NetworkConfig(position_embedding=False, max_residues=256)
    base = needed(network, 1, 250, 100, backbone="rigids")
    assert needed(network, 2, 250, 100, backbone="rigids") > 1.8 * base
    assert needed(network, 1, 500, 100, backbone="rigids") > 1.8 * base
    assert needed(network, 1, 250, 200, backbone="rigids") > 1.8 * base
    few = NetworkConfig(position_embedding=False, max_residues=256, width=32, n_layers=1)  # placing is what takes it
    kinds = [needed(few, 1, 250, 35, backbone=kind) for kind in ("rigids", "torsions", "fitted")]
    assert kinds == sorted(set(kinds))  # overlaps are lifted, and pairs are followed
    rigid, fitted = (needed(few, 1, 5000, 35, backbone=kind) for kind in ("rigids", "fitted"))
    assert fitted - rigid < 2**29  # piece by piece
    interleaved = NetworkConfig(position_embedding=False, max_residues=256, interleave_ipa=True)
    assert needed(interleaved, 1, 250, 100, backbone="rigids") > 2 * base


def test_what_does_not_fit_is_refused_and_what_hardly_does_is_warned_of(recwarn):
    with pytest.raises(MDGenError, match="a batch: about 3 GiB .* needed, and 2 GiB are available: generate fewer"):
        Memory(3 * GIB, 2 * GIB).require("a batch")
    Memory(GIB, 2 * GIB).require("a batch")
    assert not recwarn
    with pytest.warns(UserWarning, match="Should it run out"):
        Memory(9 * GIB, 10 * GIB).require("a batch")
    assert Memory(GIB, GIB).is_large and not Memory(GIB // 2, GIB).is_large


def test_a_molecule_that_does_not_fit_is_refused_before_anything_is_drawn(sampler, little, recwarn):
    topology, positions = peptide("VSAL")
    generator = TrajectoryGenerator(sampler.flow, INFO, sampler.solver, sampler.device)
    assert generator.memory_of(topology, 2).needed > generator.memory_of(topology).needed
    little(generator.memory_of(topology, 10_000).needed - 1)
    with pytest.raises(MDGenError, match="10000 replicas at once, each of 6 frames of 4 residues: about"):
        generator.memory_of(topology, 10_000)
    generator.check(topology)
    little(10**6)
    for ask in (
        lambda: generator.check(topology),
        lambda: generator.propagator(topology, positions),
        lambda: generator.rollout(topology, positions, 5),
    ):
        with pytest.raises(MDGenError, match="a segment of 6 frames of 4 residues: about .* fewer replicas"):
            ask()
    assert generator.evaluations == 0


def test_replicas_that_do_not_fit_are_refused_before_the_network_runs(sampler, little):
    topology, positions = peptide("VSAL")
    generator = TrajectoryGenerator(sampler.flow, INFO, sampler.solver, sampler.device)
    little(generator.memory_of(topology, 500).needed)
    with pytest.raises(MDGenError, match="2000 replicas at once"):
        generator.rollouts(topology, positions, 5, replicas=2000)
    assert generator.evaluations == 0


def write_group(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("version", [1, 2])
def test_limits_of_control_groups_count(tmp_path, version):
    """The tightest of a group and those above it, where files that were read do not count as used."""
    root, listed = tmp_path / "cgroup", tmp_path / "self"
    base = root if version == 2 else root / "memory"
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    stat = {"memory.stat": "anon 5\ninactive_file 100\n"}
    write_group(base / "user" / "job", {names[0]: "5000\n", names[1]: "1000\n", **stat})
    write_group(base / "user", {names[0]: "3000\n", names[1]: "2900\n", **stat})
    write_group(base, {names[0]: "max\n", names[1]: "9000\n", **stat})
    listed.write_text("0::/user/job\n" if version == 2 else "7:cpu:/other\n4:memory:/user/job\n0::/\n")
    assert sorted(memory._left_by_control_groups(root, listed)) == [200, 4100]
    assert memory._left_by_control_groups(root, tmp_path / "absent") == []


def test_available_memory_is_no_more_than_the_machine_has():
    import psutil

    assert 0 < available(torch.device("cpu")) <= psutil.virtual_memory().total
    assert SMALL["width"] == 16  # of the network above, far below what any machine has
