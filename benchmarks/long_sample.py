"""Measures the CPU time and the memory that one long trajectory of a pentapeptide takes, generated in one piece.

    python benchmarks/long_sample.py --frames 100000

The network mixes frames by a long convolution. Its weights are random: this measures what a sample costs, not how good
it is. The memory printed is the most that the process held, less what it held before.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import torch
from openmm import unit

from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.flow import FlowConfig, TrajectoryFlow
from openmm_mdgen.model.network import NetworkConfig
from openmm_mdgen.model.ode import AdamsBashforth
from openmm_mdgen.model.tasks import ForwardSimulation
from openmm_mdgen.model.tokens import Tokenizer

SEQUENCE = "AKLVG"


def megabytes() -> float:
    """The most memory that this process has held."""
    # Not `ru_maxrss` on Linux, which counts in the process that started this one.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


def generator_for(n_frames: int, width: int, evaluations: int, backbone: str) -> TrajectoryGenerator:
    network = NetworkConfig(
        width=width,
        n_layers=2,
        n_heads=4,
        ipa_head_width=8,
        ipa_points=4,
        ipa_value_points=4,
        max_residues=len(SEQUENCE),
        n_frames=n_frames,
        time_mixer="bidirectional_hyena",
    )
    scales = {"shift": (1.0, *[0.0] * 20), "scale": (0.02, *[0.05] * 3, *[0.1] * 3, *[0.7] * 14)}
    flow = TrajectoryFlow(FlowConfig(network, Tokenizer(**scales), ForwardSimulation()))
    torch.manual_seed(0)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    info = ModelInfo("random", n_frames, 10.0, 350.0, backbone=backbone)
    return TrajectoryGenerator(
        flow.eval().requires_grad_(False), info, AdamsBashforth(evaluations), torch.device("cpu")
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000, help="frames to generate, counting the known first one")
    parser.add_argument("--width", type=int, default=32, help="width of the network")
    parser.add_argument("--evaluations", type=int, default=14, help="evaluations of the network")
    parser.add_argument("--backbone", default="rigids", choices=("rigids", "torsions"), help="what atoms are placed by")
    options = parser.parse_args()
    topology, positions = build_peptide(SEQUENCE, seed=0)
    start = np.array(positions.value_in_unit(unit.nanometer))
    generator_for(100, options.width, 9, options.backbone).propagator(topology, start).segment(start, seed=0)  # warm-up
    propagator = generator_for(options.frames, options.width, options.evaluations, options.backbone).propagator(
        topology, start
    )
    before, begun = megabytes(), time.process_time()
    frames = propagator.segment(start, seed=0)
    seconds = time.process_time() - begun
    assert frames.shape[0] == options.frames - 1 and np.isfinite(frames).all()
    print(f"{options.frames} {seconds:.2f} s {megabytes() - before:.1f} MB")


if __name__ == "__main__":
    main()
