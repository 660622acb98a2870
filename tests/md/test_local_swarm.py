"""Packed MD in several processes: each run begins where it should, none is another's, and the time ends them."""

import time

import numpy as np
import pytest

from openmm_mdgen.md.local_swarm import LocalSwarm
from structures import peptide


@pytest.mark.parametrize("n_processes", [1, 2])
def test_runs_are_shared_out_and_end_with_their_time(n_processes):
    topology, positions = peptide("AG")
    starts = positions + np.arange(3)[:, None, None] * [0.1, 0, 0]  # the same structure at three places
    options = {"n_places": 3, "n_processes": n_processes, "platform": "Reference", "temperature": 300.0, "seed": 4}
    with LocalSwarm(topology, positions, **options) as swarm:
        assert swarm.places == ([3] if n_processes == 1 else [2, 1]) and swarm.seconds_of_preparation > 0
        began = time.perf_counter()
        found = swarm.run(starts, frame_interval=0.04, seconds=0.3)
        assert time.perf_counter() - began >= 0.3
        counted: list[int] = []
        four = swarm.run(starts[[0, 1, 2, 0]], n_frames=2, frame_interval=0.04, progress=counted.append)
    assert len(found) == 3 and min(len(run) for run in found) > 1
    assert [len(run) for run in four] == [2] * 4 and sum(counted) == 4
    centred = positions - positions.mean(0)
    for runs in (found, four):
        assert max(np.abs(run[0] - centred).max() for run in runs) < 0.1
        assert min(np.abs(a[0] - b[0]).max() for k, a in enumerate(runs) for b in runs[:k]) > 1e-4


def test_processes_are_as_many_as_pay(monkeypatch):
    """Eight places each at least, and one alone for what does not compute on cores."""
    started: list[int] = []
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("openmm_mdgen.md.local_swarm.Swarm", lambda *_, n_places, **__: started.append(n_places))
    monkeypatch.setattr(
        "openmm_mdgen.md.local_swarm.ProcessPoolExecutor", lambda *_, initargs, **__: started.append(initargs)
    )
    monkeypatch.setattr(LocalSwarm, "_warm_up", lambda self, start: None)
    topology, positions = peptide("AG")

    def places(n_places, platform):
        return LocalSwarm(topology, positions, n_places=n_places, platform=platform).places

    assert places(16, "CPU") == [8, 8] and places(20, "CPU") == [10, 10]
    assert places(7, "CPU") == [7] and places(512, "CPU") == [8] * 64 and places(600, "CUDA") == [600]
