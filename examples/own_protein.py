"""A protein of one's own: from its PDB file to weights that generate its motion, and to a figure of how far they can be
trusted.

    python examples/own_protein.py STRUCTURE.pdb [FOLDER] [--quick]

Takes an hour for 10 residues on two CPU cores, a minute with --quick. Needs `pip install 'openmm_mdgen[train]'`.

1. Real MD of several replicas in implicit solvent, in FOLDER/md.
2. Weights are trained on the first half of the replicas, in FOLDER/weights. They begin with the bundled weights of
   peptides.
3. As many trajectories as were held out are generated from the structure, in FOLDER/generated.
4. The generated ensemble is compared with the replicas that were held out, beside real MD of half the length: a table,
   and the fluctuations of each residue in FOLDER/rmsf.png.

Steps whose output is there are not done again, and a step that was stopped goes on. The weights are of this protein
and these conditions alone. With --quick they know nothing.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mdtraj
import numpy as np
import torch
from matplotlib.figure import Figure

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis.chain_checks import ChainChecks
from openmm_mdgen.analysis.ensemble_measures import fluctuations
from openmm_mdgen.analysis.ensembles import Frames
from openmm_mdgen.analysis.layout import Layout
from openmm_mdgen.analysis.proteins import EnsembleComparison, read_pairs
from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.data import read_recording
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.md.production import planned, simulate
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.training import TrainingConfig, train

SHOWN = ("pairwise_rmsd", "rmsf_correlation", "helix", "strand", "secondary_difference", "root_mean_w2")


@dataclass(frozen=True)
class Settings:
    """Times in picosecond."""

    replicas: int = 10
    md_time: float = 1000.0
    md_interval: float = 2.0  # between saved frames
    equilibration: float = 50.0
    temperature: float = 300.0  # K
    frame_interval: float = 10.0  # between generated frames
    n_frames: int = 20  # of a segment
    steps: int = 800
    offset_weight: float = 1.0  # chains are fitted to the rigids, so offsets count as much as torsions
    batch_size: int = 16
    seed: int = 7


QUICK = Settings(
    replicas=2, md_time=12.0, md_interval=1.0, equilibration=1.0, frame_interval=1.0, n_frames=4, steps=2, batch_size=2
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structure", type=Path, help="PDB, mmCIF or GROMACS file of one chain")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("own_protein"))
    parser.add_argument("--quick", action="store_true", help="short runs that show the steps")
    options = parser.parse_args(sys.argv[1:] or ["--help"])
    settings = QUICK if options.quick else Settings()
    torch.set_num_threads(1)  # the network is small: threads would wait for each other
    md, weights, generated = (options.folder / name for name in ("md", "weights/weights.safetensors", "generated"))
    systems = planned([str(options.structure)], replicas=settings.replicas, seed=settings.seed)
    replicas = [md / system.name / f"{system.name}.xtc" for system in systems]
    half = settings.replicas // 2
    made = [generated / f"{path.stem}.xtc" for path in replicas[half:]]

    protocol = MDProtocol(
        duration=settings.md_time,
        frame_interval=settings.md_interval,
        equilibration=settings.equilibration,
        temperature=settings.temperature,
    )
    step("real MD", replicas, lambda: simulate(systems, md, protocol, group_size=settings.replicas))
    step("training", [weights], lambda: trained(replicas[:half], weights.parent, settings))
    step("generating", made, lambda: generate(options.structure, weights, made, settings))
    step("comparing", [], lambda: compare(replicas, made, options.folder / "rmsf.png", settings))


def step(name: str, outputs: list[Path], work: Callable[[], object]) -> None:
    """Do what is not done yet, and tell how long it takes."""
    if outputs and all(path.exists() for path in outputs):
        print(f"{name}: found in {outputs[0].parent}, not done again", flush=True)
        return
    start = time.perf_counter()
    work()
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


def trained(replicas: list[Path], folder: Path, settings: Settings) -> Path:
    """Weights of some replicas; network and first weights are those of the bundled ones."""
    config = TrainingConfig(
        steps=settings.steps,
        batch_size=settings.batch_size,
        n_frames=settings.n_frames,
        frame_interval=settings.frame_interval,
        optimizer="muon",
        learning_rate=5e-4,
        warmup_steps=settings.steps // 20,
        ema_decay=0.99,
        offset_weight=settings.offset_weight,
        width=96,
        n_layers=3,
        start_in_every_frame=True,
        termini=True,
        seed=settings.seed,
    )
    info = ModelInfo(
        "own_protein",
        settings.n_frames,
        settings.frame_interval,
        settings.temperature,
        force_field="amber14-all.xml, implicit/gbn2.xml",
        backbone="fitted",
    )
    recordings = [read_recording(path.with_suffix(".pdb"), path) for path in replicas]
    return train(recordings, folder, config, info, init="forward_peptide", progress=False)


def generate(structure: Path, weights: Path, paths: list[Path], settings: Settings) -> None:
    """As many trajectories as were held out, each as long."""
    prepared = prepare(str(structure))
    n_frames = round(settings.md_time / settings.frame_interval)
    generator = TrajectoryGenerator.load(weights)
    trajectories = generator.rollouts(
        prepared.topology, prepared.minimised(), n_frames, replicas=len(paths), seed=settings.seed
    )
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    trajectories[0][:1].save_pdb(str(paths[0].with_name("topology.pdb")))
    for trajectory, path in zip(trajectories, paths, strict=True):
        trajectory.save_xtc(str(path))


def compare(replicas: list[Path], made: list[Path], figure: Path, settings: Settings) -> None:
    """Table and figure: the generated ensemble, and other MD of half the length, against the MD that was held out."""
    half, stride = len(replicas) // 2, round(settings.frame_interval / settings.md_interval)
    md = [mdtraj.load(path, top=path.with_suffix(".pdb"))[::stride] for path in replicas]
    topology = made[0].with_name("topology.pdb")
    ours = [mdtraj.load(path, top=topology) for path in made]
    held_out, other = md[half:], [run[: run.n_frames // 2] for run in md[:half]]
    sides = {"generated": ours, "other MD, half as long": other, "held-out MD": held_out}
    in_memory = {name: [Frames.in_memory(run, name) for run in runs] for name, runs in sides.items()}
    pairs = read_pairs(
        in_memory["generated"],
        in_memory["held-out MD"],
        [in_memory["other MD, half as long"]],
        in_memory["held-out MD"][0],
    )
    found = [EnsembleComparison.of(pair).numbers() for pair in pairs]

    print(f"| | {' | '.join(sides)} |\n|---|---|---|---|")
    for name in SHOWN:
        first, second = (numbers[name] for numbers in found)
        if isinstance(first, dict) and isinstance(second, dict):
            cells = [first["generated"], second["generated"], first["reference"]]
        else:
            cells = [first, second]
        texts = [str(cell) if isinstance(cell, NotDefined) else f"{cell:.3f}" for cell in cells]
        print(f"| {name.replace('_', ' ')} | {' | '.join([*texts, ''][:3])} |")
    for name, shares in validity(sides).items():
        print(f"| {name} | {' | '.join(f'{share:.1%}' for share in shares)} |")

    drawn = Figure(figsize=(7, 3), layout="constrained")
    axes = drawn.subplots()
    sources = {"generated": pairs[0].generated, "other MD": pairs[1].generated, "held-out MD": pairs[0].reference}
    for label, side in sources.items():
        axes.plot(np.arange(1, 1 + len(side.labels)), fluctuations(side), "o-", ms=3, label=label)
    axes.set(xlabel="residue", ylabel="RMSF of C-alpha (nm)", ylim=(0, None))
    axes.legend()
    drawn.savefig(figure, dpi=150)
    print(f"figure: {figure}")


def validity(sides: dict[str, list[mdtraj.Trajectory]]) -> dict[str, list[float]]:
    """Shares of frames whose chain holds together, by the two measures of `analysis.chain_checks`."""
    rows: dict[str, list[float]] = {"holds together, loose": [], "holds together, strict": []}
    for runs in sides.values():
        checks = ChainChecks.of(Layout.of(runs[0].topology))
        xyz = np.concatenate([run.xyz for run in runs])
        rows["holds together, loose"].append(float(checks.loose(xyz).mean()))
        rows["holds together, strict"].append(float(checks.strict(xyz).mean()))
    return rows


if __name__ == "__main__":
    main()
