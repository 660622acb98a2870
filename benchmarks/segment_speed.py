"""How long a segment of a peptide takes with bundled weights, and how much of that is the network.

Processor time of one thread, the least of several rollouts of ten segments; the seeds are the same.

    openmm-mdgen run AKLV --time 10ns --out traj.dcd
    python benchmarks/segment_speed.py traj.pdb

Two versions of the package are compared by two interpreters that take turns (`--against-path` is the PYTHONPATH of the
other one, for an environment in which no version is installed):

    python benchmarks/segment_speed.py traj.pdb --against /path/to/other/bin/python --rounds 3
"""

import argparse
import json
import time
from typing import Any

import torch
from openmm import app

from shared import add_version_options, both_versions, printed_by

SEGMENTS, FRAMES = 10, 49


def timed(pdb: str, weights: str, repeats: int) -> dict[str, float]:
    """Seconds of a segment, and of the network in it."""
    from openmm_mdgen import TrajectoryGenerator

    torch.set_num_threads(1)
    file = app.PDBFile(pdb)
    generator = TrajectoryGenerator.load(weights)
    network = [0.0]
    sampled = _flow_class().sample

    def watched(*given: Any, **options: Any) -> Any:
        begin = time.process_time()
        out = sampled(*given, **options)
        network[0] += time.process_time() - begin
        return out

    _flow_class().sample = watched  # type: ignore[method-assign]
    positions = file.getPositions(asNumpy=True)
    generator.rollout(file.topology, positions, FRAMES, seed=0)
    found = []
    for repeat in range(repeats):
        network[0], begin = 0.0, time.process_time()
        generator.rollout(file.topology, positions, SEGMENTS * FRAMES, seed=repeat)
        found.append((time.process_time() - begin, network[0]))
    whole, inside = min(found)
    return {"segment": whole / SEGMENTS, "network": inside / SEGMENTS}


def _flow_class() -> Any:
    try:
        from openmm_mdgen.model.flow import TrajectoryFlow
    except ImportError:  # versions before the package had folders
        from openmm_mdgen.flow import TrajectoryFlow  # type: ignore[import-not-found, no-redef]
    return TrajectoryFlow


def in_process(python: str, path: str, options: argparse.Namespace) -> dict[str, float]:
    """What another process measures."""
    words = [options.pdb, "--child", "--weights", options.weights, "--repeats", str(options.repeats)]
    return json.loads(printed_by(python, path, __file__, *words).splitlines()[-1])


def main(options: argparse.Namespace) -> None:
    if options.child:
        print(json.dumps(timed(options.pdb, options.weights, options.repeats)))
        return
    compared = both_versions(options)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in compared}
    for _ in range(options.rounds):
        for name, version in compared.items():
            found[name].append(in_process(*version, options))
    best = {name: min(runs, key=lambda run: run["segment"]) for name, runs in found.items()}
    for name, run in best.items():
        rest = 100 * (1 - run["network"] / run["segment"])
        print(f"{name}: {1000 * run['segment']:.1f} ms a segment, {rest:.0f} % of it not the network")
    if options.against:
        ratio = best["the other version"]["segment"] / best["this version"]["segment"]
        print(f"this version is {ratio:.2f} times as fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pdb", help="A minimised structure with all hydrogens.")
    parser.add_argument("--weights", default="forward_peptide", help="Name or file of the weights.")
    add_version_options(parser)
    parser.add_argument("--rounds", type=int, default=3, help="Number of processes of each version.")
    parser.add_argument("--repeats", type=int, default=4, help="Number of rollouts in each process.")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    main(parser.parse_args())
