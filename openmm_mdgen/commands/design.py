"""``openmm-mdgen design``: residues that go with a motion. Times in picosecond."""

from __future__ import annotations

import csv
import re
import secrets
import time as clock
from pathlib import Path
from typing import Annotated

import typer

from openmm_mdgen.commands.options import Device, Evaluations, Force, Format, FrameInterval, OdeSolver, Seed, Weights
from openmm_mdgen.commands.outputs import check_folder, check_outputs
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.commands.trajectories import ending_of, read_trajectory, topology_of, write_frames
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing


# Long by its options, which typer reads from the signature.
def design(
    trajectory: Annotated[Path, typer.Argument(help="Trajectory in any format that mdtraj reads, hydrogens included.")],
    out: Annotated[
        Path,
        typer.Option(help="Folder for designs.csv, and SEQUENCE.pdb and SEQUENCE.dcd (see --format) of each."),
    ],
    top: Annotated[
        Path | None,
        typer.Option(
            help="Topology of the trajectory, such as a PDB file. [default: the trajectory, where its format holds one]"
        ),
    ] = None,
    residues: Annotated[
        str | None,
        typer.Option(help="Residues to design, counted from 1, such as 2,3. [default: those of the weights]"),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Number of designs to draw.")] = 20,
    seed: Seed = None,
    frame_interval: FrameInterval = None,
    generator: Weights = None,
    device: Device = "auto",
    ode_solver: OdeSolver = None,
    evaluations: Evaluations = None,
    accept_chance: Annotated[
        bool,
        typer.Option(
            "--accept-chance",
            help="Use weights that were measured to find residues no better than chance, as the bundled ones do. "
            "[default: such weights are refused]",
        ),
    ] = False,
    format: Format = "dcd",
    force: Force = False,
) -> None:
    """Design residues, their types and their motion, for the motion of the others.

    A trajectory holds all samples of its sequence one after another; the PDB file is the first frame, minimised.
    """
    stated = None if frame_interval is None else parse_time("--frame-interval", frame_interval)
    designed = None if residues is None else _numbers(residues)
    ending = ending_of(format)
    top = topology_of(trajectory, top)
    table = check_folder(out) / "designs.csv"
    if out.is_dir():
        there = [path for path in sorted(out.iterdir()) if _may_be_replaced(path)]
        check_outputs([("--out", path) for path in (table, *there)], inputs=[trajectory, top], force=force)

    import numpy as np

    from openmm_mdgen.generators.design import frequencies
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.md.designed_peptides import PeptideBuilder
    from openmm_mdgen.md.structures import write_pdb
    from openmm_mdgen.runs.machine import known_of

    model = TrajectoryGenerator.load(
        generator, task="inpainting", device=device, ode_solver=ode_solver, evaluations=evaluations
    )
    seed = secrets.randbelow(2**31) if seed is None else seed
    record = Recording([table], inputs=[trajectory, top], folder=out, seed=seed, **known_of(model))
    given, interval = read_trajectory(trajectory, top, stated)
    outside = [k + 1 for k in designed or () if k >= given.n_residues]
    if outside:
        raise MDGenError(f"--residues {outside[0]}: the chain has residues 1 to {given.n_residues}")
    begun = clock.perf_counter()
    made = model.inpaint(
        given,
        designed=designed,
        samples=samples,
        seed=seed,
        frame_interval=interval,
        accept_chance=accept_chance,
    )
    counts = frequencies(made)
    builder = PeptideBuilder(backbone=model.info.backbone, seed=seed % 2**31)
    # All of them before the first is written: what is stopped meanwhile leaves nothing that is in its own way.
    designs = {s: [d for d in made if d.sequence == s and d.trajectory is not None] for s, _ in counts}
    built = {s: [builder.all_atoms(d) for d in ours] for s, ours in designs.items() if ours}
    out.mkdir(parents=True, exist_ok=True)
    for sequence, peptides in built.items():
        write_pdb(out / f"{sequence}.pdb", peptides[0].topology, peptides[0].positions)
        frames = np.concatenate([peptide.frames for peptide in peptides])
        write_frames(out / f"{sequence}{ending}", peptides[0].topology, frames, model.frame_interval)
        record.outputs += [out / f"{sequence}.pdb", out / f"{sequence}{ending}"]
    with replacing(table) as temporary, open(temporary, "w", newline="") as file:
        csv.writer(file).writerows([("sequence", "count"), *counts])
    record.write(about={"samples": samples})
    typer.echo(
        f"{table}: {samples} samples, {len(counts)} sequences, most often {counts[0][0]} ({counts[0][1]}), "
        f"seed {seed}; made in {clock.perf_counter() - begun:.1f} s"
    )


def _may_be_replaced(path: Path) -> bool:
    """Whether a file is named as those of a design are."""
    from openmm_mdgen.geometry.residues import RESTYPES
    from openmm_mdgen.trajectory_formats import FORMATS

    return path.suffix in (".pdb", *FORMATS) and set(path.stem) <= set(RESTYPES)


def _numbers(text: str) -> list[int]:
    """Residues from 0, out of numbers from 1."""
    if not re.fullmatch(r"\d+(,\d+)*", text) or "0" in text.split(","):
        raise MDGenError(f"--residues {text!r}: give residue numbers from 1, such as 2,3")
    return [int(number) - 1 for number in text.split(",")]
