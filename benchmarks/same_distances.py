"""Whether two versions of the package generate trajectories that are equally far from real MD, with the same weights.

    python benchmarks/same_distances.py REFERENCE --against PYTHON --against-path CHECKOUT

REFERENCE is a folder of real MD, NAME.pdb with NAME.xtc (replicas NAME_0, NAME_1, ... are taken together). Each version
generates trajectories of each peptide from the same start with the same seeds. A row says the mean distances of all
torsions, their standard errors over the trajectories (jackknife), and how many standard errors the two are apart;
2.4 of them are the 95 % limit for as few trajectories as there are by default.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from openmm import app, unit

from openmm_mdgen import TrajectoryGenerator
from shared import add_version_options, both_versions, print_header, print_row, printed_by


def generate(start: Path, out: Path, weights: str, n_frames: int, seeds: int) -> None:
    """In a process of either version: a trajectory for each seed."""
    import torch

    torch.set_num_threads(1)
    file = app.PDBFile(str(start))
    generator = TrajectoryGenerator.load(weights)
    for seed in range(seeds):
        made = generator.rollout(file.topology, file.getPositions(asNumpy=True), n_frames, seed=seed)
        made.save_xtc(str(out / f"{seed}.xtc"))
        made[0].save_pdb(str(out / "top.pdb"))


def in_process(python: str, path: str, start: Path, out: Path, options: argparse.Namespace) -> None:
    """Let another process generate."""
    out.mkdir()
    told = ["--weights", options.weights, "--frames", str(options.frames), "--seeds", str(options.seeds)]
    printed_by(python, path, __file__, str(start), *told, "--child", str(out))


def main(options: argparse.Namespace) -> None:
    if options.child:
        generate(options.reference, options.child, options.weights, options.frames, options.seeds)
        return
    from openmm_mdgen.analysis import TrajectoryFile, evaluate
    from openmm_mdgen.analysis.folders import replicas
    from openmm_mdgen.md.structures import load_structure
    from openmm_mdgen.md.systems import relaxed

    print_header("peptide", "this version", "the other version", "apart, standard errors")
    for name, files in replicas(options.reference).items():
        with tempfile.TemporaryDirectory() as folder:
            start = Path(folder) / "start.pdb"
            topology, positions = load_structure(files[0][0], seed=0)
            with open(start, "w") as file:
                app.PDBFile.writeFile(topology, relaxed(topology, positions) * unit.nanometer, file, keepIds=True)
            found = []
            for version, (python, path) in both_versions(options).items():
                out = Path(folder) / version
                in_process(python, path, start, out, options)
                ours = [TrajectoryFile(out / f"{k}.xtc", out / "top.pdb", 10.0) for k in range(options.seeds)]
                evaluation = evaluate(ours, [TrajectoryFile(xtc, pdb) for pdb, xtc in files])
                distance, error = evaluation.jsd.torsions_all, evaluation.error("jsd", "torsions_all")
                if not isinstance(distance, float) or not isinstance(error, float):
                    raise SystemExit(f"{name}: {distance}, {error}")
                found.append((distance, error))
        (ours, ours_error), (theirs, theirs_error) = found
        apart = abs(ours - theirs) / (ours_error**2 + theirs_error**2) ** 0.5
        print_row(name, *(f"{distance:.3f} ± {error:.3f}" for distance, error in found), f"{apart:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference", type=Path, help="Folder of real MD.")
    add_version_options(parser)
    parser.add_argument("--weights", default="forward_peptide", help="Name or file of weights that both read.")
    parser.add_argument("--frames", type=int, default=500, help="Frames of each trajectory, 10 ps apart.")
    parser.add_argument("--seeds", type=int, default=4, help="Trajectories of each version.")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if not (asked.against or asked.child):
        parser.error("name the other version's interpreter: --against PYTHON")
    main(asked)
