"""``openmm-mdgen run``: a trajectory from a PDB file or a sequence.

Times in picosecond. A *report* is a frame that is written: every ``stride``-th generated one. A generator without a
time axis gives *samples* instead, which are written without times. The same command again goes on with a run that was
stopped.
"""

from __future__ import annotations

import secrets
import time as clock
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm_mdgen.commands.lengths import asked_for, length_of, shown_time
from openmm_mdgen.commands.lists import Row, run_list
from openmm_mdgen.commands.options import (
    Device,
    Evaluations,
    Force,
    FormatOfList,
    GeneratorName,
    OdeSolver,
    Ph,
    Scheduler,
    Seed,
    Temperature,
    Workers,
)
from openmm_mdgen.commands.outputs import check_outputs
from openmm_mdgen.commands.sources import Parameters, Positions, files_of, with_files
from openmm_mdgen.commands.stops import going_on
from openmm_mdgen.commands.terminal import minimisation, tell_changes
from openmm_mdgen.errors import BusyError, GenerationError, MDGenError
from openmm_mdgen.files import sha256_of
from openmm_mdgen.manifest import Manifest, beside, noting_warnings, now
from openmm_mdgen.progress import progress_bar

if TYPE_CHECKING:
    import numpy as np

    from openmm_mdgen.md.minimisation import Minimiser
    from openmm_mdgen.md.prepare import Source
    from openmm_mdgen.md.prepared import Prepared
    from openmm_mdgen.protocol import Generator
    from openmm_mdgen.runs.continuing import Earlier
    from openmm_mdgen.runs.jobs import Job
    from openmm_mdgen.runs.long_run import LongRun, Outcome, Outputs


# Long by its options, which typer reads from the signature.
def run(
    structure: Annotated[
        str,
        typer.Argument(
            help="Structure file (.pdb, .cif, .gro, .prmtop or .psf), a sequence such as AKLV or ACE-A-NME, or a CSV "
            "file of sequences with the columns name, seqres, or both."
        ),
    ],
    time: Annotated[
        str | None, typer.Option(help="Physical time to generate, with its unit, such as 500ps, 10ns or 1us.")
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of samples to write, instead of a time, from a generator of independent samples."
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            help="Trajectory file: .dcd, .xtc, .trr, .nc (NetCDF of AMBER) or .h5 (HDF5, which needs PyTables); its "
            "topology is written to a .pdb file beside it. For a list of sequences: folder for NAME/NAME.dcd of each "
            "(see --format)."
        ),
    ] = Path("traj.dcd"),
    seed: Seed = None,
    generator: GeneratorName = None,
    replicas: Annotated[
        int,
        typer.Option(min=1, help="Number of independent trajectories, written to NAME_000.dcd and so on."),
    ] = 1,
    positions: Positions = None,
    parameters: Parameters = None,
    ph: Ph = 7.0,
    each_chain: Annotated[
        bool,
        typer.Option("--each-chain", help="Generate each of several chains by itself, without contacts between them."),
    ] = False,
    device: Device = "auto",
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Largest number of threads of the CPU: of the network, which takes one for a small batch, and of the "
            "minimisation of a protein's start. [default: one for each core; OPENMM_MDGEN_THREADS sets it for the "
            "network, OPENMM_CPU_THREADS for the minimisation]",
        ),
    ] = None,
    start_iterations: Annotated[
        int, typer.Option(min=1, help="Largest number of iterations with which the start of a protein is minimised.")
    ] = 500,
    report_interval: Annotated[
        str | None,
        typer.Option(help="Time between written frames, such as 100ps. [default: every generated frame is written]"),
    ] = None,
    ode_solver: OdeSolver = None,
    evaluations: Evaluations = None,
    temperature: Temperature = None,
    extend: Annotated[
        str | None,
        typer.Option(
            help="Time to add to a run that is there, finished or not, such as 10ns, or a number of samples; the other "
            "options are those of that run, of which --time may be left out."
        ),
    ] = None,
    format: FormatOfList = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    force: Force = False,
) -> None:
    """Generate the trajectory of a peptide.

    What a structure file lacks is added, and what is not protein is removed; each change is told in a line. The
    structure is minimised in amber14 with GBn2, or in the force field that a .prmtop or .psf file brings. The topology
    file holds that start, the trajectory what follows it. The start of a chain of more than 10 residues is also kept at
    full precision in NAME.start.npz, and the same run finds it there when it is given again.

    A run that was stopped, even by a power cut, goes on from its last checkpoint when the same command is given again,
    and ends in the same trajectory bit for bit. NAME.checkpoint.npz holds what that needs, NAME.manifest.json how the
    trajectory was made.

    The sequences of a list are shared out among workers, each run with its own files; summary.csv lists them all.
    """
    if Path(structure).suffix.lower() == ".csv":
        options = {name: value for name, value in locals().items() if name not in ("scheduler", "workers")}
        run_list(Path(structure), options, run_one, scheduler=scheduler, workers=workers)
        return
    if scheduler is not None or workers is not None:
        raise MDGenError("--scheduler and --workers go with a list of sequences, a file that ends in .csv")
    if format is not None:
        raise MDGenError(
            f"--format {format} goes with a list of sequences; one trajectory has the format that its file's name ends "
            f"in, such as --out {out.with_suffix('.xtc')}"
        )

    from openmm_mdgen.generators import registry
    from openmm_mdgen.generators.each_chain import Overlaps
    from openmm_mdgen.md.minimisation import Minimiser
    from openmm_mdgen.md.starts import start_file
    from openmm_mdgen.runs.continuing import ADDED, Earlier, manifest_of
    from openmm_mdgen.runs.jobs import Job
    from openmm_mdgen.threads import at_most

    [source] = with_files([structure], positions, parameters)
    outputs = _outputs(out, replicas)
    stamp = outputs.stamp
    earlier = None if force else Earlier.at(out, outputs)
    asked = asked_for(time, samples, report_interval, replicas, extend, earlier)
    _check_outputs(outputs, files_of([source]), earlier, force=force)
    if seed is None:
        seed = secrets.randbelow(2**31) if earlier is None else earlier.manifest.seed
        assert seed is not None
    noted: list[str] = [] if earlier is None else list(earlier.manifest.warnings)
    with noting_warnings(noted), at_most(threads):
        prepared = source.prepared(ph=ph, seed=seed, each_chain=each_chain)
        model = registry.loaded(
            generator,
            device=device,
            ode_solver=ode_solver,
            evaluations=evaluations,
            chains="each" if each_chain else None,
            topology=prepared.topology,
        )
        registry.set_temperature(model, temperature)
        settings = {
            "structure": _identity(source),
            "weights": _weights_shown(model, generator),
            **asked.setting,
            "report-interval": shown_time(asked.interval) if asked.interval else None,
            "replicas": replicas,
            "format": out.suffix.lower(),
            "seed": seed,
            "ph": ph,
            "each-chain": each_chain,
            "ode-solver": ode_solver,
            "evaluations": evaluations,
            "temperature": temperature,
            "start-iterations": start_iterations,
        }
        if earlier is not None:
            earlier.require_same(settings, out)
        added = [] if earlier is None else earlier.with_added(asked.more, out)
        length = length_of(model, asked, sum(added))
        if earlier is not None and earlier.is_finished and asked.more is None:
            _tell_finished(out, earlier)
            return
        model.check(prepared.topology)
        _tell_beforehand(structure, source, prepared, model, replicas)
        checkpoint = None if earlier is None else earlier.checkpoint
        with outputs.reserved():
            if outputs.stamp != stamp:
                raise BusyError(f"another run has gone on with {out} meanwhile: give the command again")
            start = (
                _minimised(prepared, start_file(out), Minimiser(start_iterations), threads)
                if checkpoint is None
                else checkpoint.start
            )
            job = Job(
                model, prepared, start, length, seed, replicas, Overlaps(prepared.topology) if each_chain else None
            )
            manifest = manifest_of(job, outputs, settings, files_of([source]), earlier, noted)
            manifest.about = {"frames": length.n_reports, ADDED: added}
            _carry_out(job, outputs, manifest, earlier)


def run_one(**options: Any) -> Row:
    """On a worker: a run of a list, from where its files end."""
    out = options["out"]
    out.parent.mkdir(parents=True, exist_ok=True)
    run(**options)
    made = Manifest.read(beside(out))
    assert made is not None
    return Row(out.stem, "finished", made.about["frames"], made.seed, round(made.seconds, 3), str(out))


def _carry_out(job: Job, outputs: Outputs, manifest: Manifest, earlier: Earlier | None) -> None:
    """Generate, and tell what came of it."""
    from openmm_mdgen.md.trajectory_files import grows_in
    from openmm_mdgen.runs.long_run import LongRun
    from openmm_mdgen.threads import at_most

    out, path = outputs.trajectories[0], beside(outputs.topology)
    checkpoint = None if earlier is None else earlier.checkpoint
    n_reports = job.length.n_reports
    long_run = LongRun(manifest.run, job, outputs, checkpoint, lambda: manifest.write(path))
    before = long_run.kept
    if before:
        typer.echo(f"{out}: goes on after {before} of {n_reports} frames")
    begun = clock.perf_counter()
    try:
        with at_most(manifest.machine.get("threads")), _keeping(long_run, grows_in(out), n_reports):
            with progress_bar("generating", n_reports, done=before) as advance:
                outcome = long_run.finish(advance)
    finally:
        if not long_run.kept:
            path.unlink(missing_ok=True)
    seconds = clock.perf_counter() - begun
    manifest.ended, manifest.seconds, manifest.is_finished = now(), long_run.seconds, True
    manifest.about |= {"redraws": outcome.redraws} | ({"overlapping": outcome.overlapping} if job.overlaps else {})
    manifest.write(path)
    _tell(job, outputs, outcome, before, seconds)


@contextmanager
def _keeping(long_run: LongRun, out: Path, n_reports: int) -> Iterator[None]:
    """Say of a run that breaks off what is kept of it."""

    def kept() -> str | None:
        return f"{long_run.kept} of {n_reports} frames are in {out}" if long_run.kept else None

    try:
        with going_on(kept):
            yield
    except OSError as error:
        raise OSError(f"{error}; {kept()}: to go on, give the same command") if kept() else error from error
    except GenerationError as error:
        raise GenerationError(f"{error}; {kept()}") if kept() else error from error


def _tell_beforehand(structure: str, source: Source, prepared: Prepared, model: Generator, replicas: int) -> None:
    """Print what there is to know before long work."""
    from openmm_mdgen.threads import allowed

    memory_of = getattr(model, "memory_of", None)  # generators of other packages say nothing of it
    memory = memory_of(prepared.topology, replicas) if memory_of else None
    tell_changes(structure, prepared)
    if getattr(model, "device", "") == "cpu":
        typer.echo(f"the network runs on the CPU: small batches on one thread, large ones on up to {allowed()}")
    if memory and memory.is_large:
        typer.echo(f"{structure}: {memory}")
    trained = getattr(model, "force_field", "")
    if source.has_own_field and trained:
        typer.echo(f"{structure}: its force field minimises the start; generated frames are those of {trained}")


def _tell_finished(out: Path, earlier: Earlier) -> None:
    about = earlier.manifest.about
    typer.echo(
        f"{out}: finished already, {about.get('frames')} frames, seed {earlier.manifest.seed}; --extend adds to it, "
        "--force starts it anew"
    )


def _tell(job: Job, outputs: Outputs, outcome: Outcome, before: int, seconds: float) -> None:
    """Print what was generated, of which `before` reports were there already."""
    length, paths = job.length, outputs.trajectories
    written = f"{paths[0]}" if job.replicas == 1 else f"{paths[0]} to {paths[-1].name}"
    each = " each" if job.replicas > 1 else ""
    frames = "independent samples, which have no times" if length.are_samples else f"frames{each}"
    interval = job.generator.frame_interval or 0.0
    picoseconds = job.replicas * (length.n_reports - before) * length.stride * interval
    typer.echo(
        f"{written}: {length.n_reports} {frames}, topology {outputs.topology}, seed {job.seed}; "
        f"{_spent(job.generator, picoseconds, seconds)}"
    )
    if outcome.redraws:
        typer.echo(f"{outcome.redraws} segments were drawn anew: the generator called frames of them invalid")
    if job.overlaps:
        n = job.replicas * length.n_reports
        typer.echo(f"in {outcome.overlapping} of {n} frames heavy atoms of different chains are nearer than 0.2 nm")


def _outputs(out: Path, replicas: int) -> Outputs:
    from openmm_mdgen.md.trajectory_files import require_format
    from openmm_mdgen.runs.long_run import Outputs

    if out.is_dir():
        raise MDGenError(f"--out {out} is a folder: name a file in it, such as {out / 'traj.dcd'}")
    require_format("--out", out)
    return Outputs.of(out, replicas)


def _check_outputs(outputs: Outputs, inputs: list[Path], earlier: Earlier | None, *, force: bool) -> None:
    """Files of the run that is there may be added to; others are replaced only where that is allowed."""
    if earlier is None:
        check_outputs([("--out", path) for path in outputs.unfinished], inputs=inputs, force=force)
    ours = set() if earlier is None else set(earlier.manifest.outputs)
    named = (*outputs.trajectories, outputs.topology)  # what the user has named comes first in messages
    check_outputs([("--out", path) for path in named if path.name in ours], inputs=inputs, force=True)
    check_outputs([("--out", path) for path in named if path.name not in ours], inputs=inputs, force=force)
    outputs.require_replaceable(force=force)


def _minimised(prepared: Prepared, kept: Path, minimiser: Minimiser, threads: int | None) -> np.ndarray:
    """The start (n_atoms, 3) nm; what there is to say of a protein's is told."""
    from openmm_mdgen.md.starts import make_start

    with ExitStack() as stack:
        start = make_start(
            prepared,
            kept,
            minimiser,
            threads=threads,
            watching=lambda: stack.enter_context(minimisation(minimiser.max_iterations)),
        )
    for note in start.notes:
        typer.echo(note)
    return start.positions


def _identity(source: Source) -> str:
    """A sequence, or files by their names and content."""
    files = [path for path in files_of([source]) if path.is_file()]
    named = [f"{path.name} ({sha256_of(path)[:12]})" for path in files]
    return " with ".join(named) if source.is_file else source.name.upper()


def _weights_shown(model: Generator, name: str | None) -> str:
    from openmm_mdgen.runs.machine import weights_of

    said = weights_of(model)
    return f"{said['name']} ({said['sha256'][:12]})" if "sha256" in said else name or said["name"]


def _spent(generator: Generator, picoseconds: float, seconds: float) -> str:
    """What was generated at which temperature in how long; network evaluations where the generator counts them."""
    nanoseconds = picoseconds / 1000
    details = [f"{generator.temperature:g} K"]
    details += [f"{nanoseconds / seconds:.2g} ns/s"] if nanoseconds else []
    evaluations = getattr(generator, "evaluations", None)
    if evaluations is not None:
        details.append(f"{evaluations} network evaluations")
    told = f"{nanoseconds:g} ns generated in {seconds:.1f} s" if nanoseconds else f"generated in {seconds:.1f} s"
    return f"{told} ({', '.join(details)})"
