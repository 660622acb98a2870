"""``openmm-mdgen table``: Table 2 of Jing et al. 2024, over peptides with real MD.

The first half of each real MD is the reference; the second half is the *replicate*, whose beginnings are the rows of
shorter MD. No row shares a frame with the reference. Times in picosecond.
"""

from __future__ import annotations

import time as clock
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm_mdgen.commands.comparison_options import Clusters, DefinitionsName, Lagtime, States
from openmm_mdgen.commands.options import Device, Force
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.commands.recording import Recording
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import write_json
from openmm_mdgen.times import nearest_multiples, whole_number

if TYPE_CHECKING:
    import mdtraj

    from openmm_mdgen.analysis.sources import Source
    from openmm_mdgen.protocol import Generator


def table(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of real MD: NAME.pdb with NAME.xtc (or .dcd, ...) of each peptide or protein, 1 ns or more."
        ),
    ],
    generated: Annotated[
        Path | None, typer.Option(help="Folder of generated trajectories, laid out alike and of the same names.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights", "--generator", help="Generator that makes the trajectories: its name, or a file of weights."
        ),
    ] = None,
    time: Annotated[
        str, typer.Option(help="Physical time that --weights generates of each peptide, such as 500ps, 10ns or 1us.")
    ] = "10ns",
    json: Annotated[Path | None, typer.Option(help="File to write all numbers to, .json.")] = None,
    lagtime: Lagtime = "100ps",
    clusters: Clusters = 100,
    states: States = 10,
    definitions: DefinitionsName = "published",
    device: Device = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Seed of generation, of k-means and of the bootstrap.")] = 137,
    force: Force = False,
) -> None:
    """Make Table 2 of Jing et al. 2024: distances to real MD of a generator and of shorter MD, as means over peptides.

    The first half of each real MD is the reference, the second half the replicate and the source of shorter MD. Of
    molecules of 10 residues or more a second table follows, a row for each and for each method: RMSF correlation,
    pairwise RMSD, secondary structure, contacts and the share of frames whose chain holds together, beside other MD of
    the same and of half the length; and one over all of them.
    """
    if (generated is None) == (weights is None):
        raise MDGenError("give either --generated FOLDER or --weights NAME")
    check_outputs([("--json", json)], force=force)
    length, lag = parse_time("--time", time), parse_time("--lagtime", lagtime)

    from openmm_mdgen.analysis import Definitions, TrajectoryFile
    from openmm_mdgen.analysis.folders import pairs, read_md
    from openmm_mdgen.analysis.results import plain
    from openmm_mdgen.generators.registry import loaded
    from openmm_mdgen.report.protein_table import Proteins
    from openmm_mdgen.report.table import GENERATED, Halves, empty_rows, fill, markdown
    from openmm_mdgen.runs.machine import known_of

    options = {
        "lagtime": lag,
        "n_clusters": clusters,
        "n_states": states,
        "seed": seed,
        "definitions": Definitions.named("--definitions", definitions),
    }
    references = pairs(folder)
    ready = {} if generated is None else pairs(generated)
    if generated is not None and (missing := sorted(set(references) - set(ready))):
        raise MDGenError(f"{generated} has no trajectory of {', '.join(missing)}, which {folder} has")
    model = None if weights is None else loaded(weights, device=device)
    record = Recording([json], seed=seed, **(known_of(model) if model else {}))

    rows, proteins = empty_rows(), Proteins()
    for name, (pdb, path) in references.items():
        halves = Halves.of(read_md(pdb, path), path)
        if model is None:
            source: Source = TrajectoryFile(ready[name][1], ready[name][0])
        else:
            source, rows[GENERATED].seconds[name] = _generate(model, pdb, length, seed)
        proteins.add(name, *fill(rows, name, source, halves, options), halves, options)
        typer.echo(f"{name}: reference {halves.nanoseconds:.3g} ns", err=True)
    for line in markdown(list(rows.values())) + proteins.markdown():
        typer.echo(line)
    if json is not None:
        content = {"settings": plain(options), "rows": [asdict(row) for row in rows.values()]}
        write_json(json, content | {"ensembles": proteins.as_dict()})
    record.write()


def _generate(generator: Generator, pdb: Path, length: float, seed: int) -> tuple[mdtraj.Trajectory, float]:
    """A trajectory from the PDB file's structure, minimised, and the seconds that it took."""
    import mdtraj
    import numpy as np

    from openmm_mdgen.generators.rollouts import stream
    from openmm_mdgen.md.structures import load_structure
    from openmm_mdgen.md.systems import relaxed
    from openmm_mdgen.report.timed_runs import known_interval

    interval = known_interval(generator, "--time")
    topology, positions = load_structure(pdb, seed=seed)
    generator.check(topology)
    start = relaxed(topology, positions)
    n_frames = whole_number(length, interval)
    if n_frames is None or n_frames < 2:
        nearest = " or ".join(f"{time:g}ps" for time in nearest_multiples(length, interval))
        raise MDGenError(f"--time {length:g}ps: the generator makes a frame each {interval:g} ps, take {nearest}")
    began = clock.perf_counter()
    segments = stream(generator, topology, start, n_frames, seed=seed)
    xyz = np.concatenate([chunk[0] for chunk in segments])
    seconds = clock.perf_counter() - began
    atoms = mdtraj.Topology.from_openmm(topology).subset(segments.atom_indices)
    return mdtraj.Trajectory(xyz, atoms, time=np.arange(1, n_frames + 1) * interval), seconds
