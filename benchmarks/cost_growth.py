"""How the cost of generation grows with the length of the chain, the frames of a segment, trajectory and replicas.

    python benchmarks/cost_growth.py

The network has random weights, and the size of bundled ones (width 96, three layers) or of published ones (width 384,
five layers, ``--size published``): one evaluation of 50 frames of chains of 4 to 256 residues, and of 50 to 10,000
frames of four residues. Whole generation is of AKLV with bundled weights: one trajectory of 50 to 10,000 frames, and 1
to 64 replicas of 49 frames. Processor time of one thread, the least of several; the exponents are slopes of log time
against log size, by least squares over all sizes and between the two largest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from network_speed import evaluated, network_and_input
from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.generators.rollouts import stream
from openmm_mdgen.md.structures import load_structure
from openmm_mdgen.md.systems import relaxed
from shared import print_header, print_row

RESIDUES = (4, 8, 16, 32, 64, 128, 256)
FRAMES = (50, 100, 250, 500, 1000, 2500, 5000, 10_000)
REPLICAS = (1, 2, 4, 8, 16, 32, 64)
NETWORKS = {"bundled": (96, 3, 6), "published": (384, 5, 16)}


def exponents(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """Slopes of log time against log size: over all sizes, and between the two largest."""
    x, y = np.log(sizes), np.log(seconds)
    return float(np.polyfit(x, y, 1)[0]), float((y[-1] - y[-2]) / (x[-1] - x[-2]))


def least(work: Callable[[], object], repeats: int) -> float:
    """Seconds of processor time; one call more, whose time is not counted, comes first."""
    work()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def of_network(n_frames: int, n_residues: int, size: str, repeats: int) -> float:
    network, given = network_and_input((*NETWORKS[size], n_frames, n_residues, 1))
    return least(lambda: evaluated(network, given), repeats)


def of_generation(n_frames: int, replicas: int, repeats: int) -> float:
    generator = TrajectoryGenerator.load()
    topology, positions = load_structure("AKLV", seed=0)
    start = relaxed(topology, positions)

    def work() -> None:
        for _ in stream(generator, topology, start, n_frames, replicas=replicas, seed=0):
            pass

    return least(work, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(NETWORKS), default="bundled", help="Size of the network.")
    parser.add_argument("--repeats", type=int, default=3, help="Times that each size is measured.")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    measured = {
        "residues, 50 frames, an evaluation": (RESIDUES, lambda n: of_network(50, n, asked.size, asked.repeats)),
        "frames, 4 residues, an evaluation": (FRAMES, lambda n: of_network(n, 4, asked.size, asked.repeats)),
        "frames of a trajectory of AKLV": (FRAMES, lambda n: of_generation(n, 1, asked.repeats)),
        "replicas of AKLV, 49 frames": (REPLICAS, lambda n: of_generation(49, n, asked.repeats)),
    }
    print_header("what grows", "seconds", "exponent over all", "between the two largest")
    for name, (sizes, measure) in measured.items():
        seconds = [measure(n) for n in sizes]
        cells = ", ".join(f"{n:,}: {taken:.3g}" for n, taken in zip(sizes, seconds, strict=True))
        print_row(name, cells, *(f"{slope:.2f}" for slope in exponents(sizes, seconds)))


if __name__ == "__main__":
    main()
