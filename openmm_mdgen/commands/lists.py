"""Work on many molecules: shared out among workers, and ``openmm-mdgen run LIST.csv``, a run of each of a list."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from openmm_mdgen.commands.outputs import check_folder
from openmm_mdgen.commands.stops import going_on
from openmm_mdgen.commands.trajectories import ending_of
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing, require_file
from openmm_mdgen.progress import progress_bar

if TYPE_CHECKING:
    from openmm_mdgen.runs.many import Ended, Task

SUMMARY = "summary.csv"
_ALONE = ("positions", "parameters", "samples")  # options that one structure alone can have


@dataclass(frozen=True)
class Row:
    """A line of the summary."""

    name: str
    state: str  # finished, or why not
    frames: int | None = None
    seed: int | None = None
    seconds: float | None = None
    trajectory: str = ""


def run_list(
    path: Path, options: dict[str, Any], function: Callable[..., Row], *, scheduler: str | None, workers: int | None
) -> None:
    """Run all sequences of a list.

    Parameters
    ----------
    path : Path
        CSV file with the columns name, seqres, or both.
    options : dict
        Options of ``run`` for each of them; `out` is the folder, `replicas` become runs of their own, and `format` is
        that of all trajectories.
    function : callable
        Called on a worker with the options of one run; gives its row of the summary.
    scheduler, workers
        As in `runs.many.connected`.

    Raises
    ------
    MDGenError
        If some of them failed: the summary says why.
    """
    require_workers(path)
    tasks = _tasks(path, options, function)
    out = check_folder(options["out"])
    out.mkdir(parents=True, exist_ok=True)
    ended = _on_workers(tasks, "running", "runs", scheduler, workers)
    rows = [one.result if not one.error else Row(one.name, one.error) for one in ended]
    with replacing(out / SUMMARY) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    n_finished = sum(not one.error for one in ended)
    typer.echo(f"{out}: {n_finished} of {len(ended)} runs finished, listed in {out / SUMMARY}")
    _require_all(ended)


def shared_out(
    tasks: Sequence[Task], label: str, unit: str, *, scheduler: str | None, workers: int | None
) -> list[Any]:
    """Carry out tasks on workers, or here, one after the other, where neither is asked for.

    Parameters
    ----------
    tasks : sequence of Task
    label, unit : str
        Of the progress bar, such as ``"simulating"`` and ``"groups"``.
    scheduler, workers
        As in `runs.many.connected`.

    Returns
    -------
    list
        What the tasks return, in their order.

    Raises
    ------
    MDGenError
        If some of them failed.
    """
    from openmm_mdgen.runs.many import here

    if scheduler is None and workers is None:
        done = count(1)  # lines, since tasks may show bars of their own

        def tell(n: int) -> None:
            typer.echo(f"{label}: {next(done)} of {len(tasks)} {unit}", err=True)

        return here(tasks, tell)
    ended = _on_workers(tasks, label, unit, scheduler, workers)
    _require_all(ended)
    return [one.result for one in ended]


def require_workers(*asked: object) -> None:
    """Raise `MissingPackageError` if work is asked to be shared out, by anything but None, and cannot be."""
    from openmm_mdgen.runs.many import require_distributed

    if any(one is not None for one in asked):
        require_distributed()


def for_workers(generator: str | None) -> str | None:
    """The name of a generator, or a file of weights by its whole path: workers may be in another folder."""
    return str(Path(generator).resolve()) if generator and Path(generator).is_file() else generator


def _on_workers(
    tasks: Sequence[Task], label: str, unit: str, scheduler: str | None, workers: int | None
) -> list[Ended]:
    from openmm_mdgen.runs.many import carry_out, connected

    with going_on(), connected(scheduler, workers) as client, progress_bar(label, len(tasks), unit) as advance:
        return carry_out(tasks, client, advance)


def _require_all(ended: Sequence[Ended]) -> None:
    """Raise `MDGenError` with the first failure, if there is one."""
    failed = [one for one in ended if one.error]
    if failed:
        raise MDGenError(f"{failed[0].name}: {failed[0].error}" + (f"; {len(failed) - 1} more" if failed[1:] else ""))


def _tasks(path: Path, options: dict[str, Any], function: Callable[..., Row]) -> list[Task]:
    """One for each sequence and replica; each has a folder and a seed of its own."""
    from openmm_mdgen.data import read_split
    from openmm_mdgen.md.trajectory_files import FORMATS
    from openmm_mdgen.runs.many import Task
    from openmm_mdgen.seeds import named_seed

    for name in _ALONE:
        if options.get(name):
            raise MDGenError(f"--{name} goes with one structure, and not with a list of them")
    require_file(path)
    out = options["out"]
    if out.suffix.lower() in FORMATS:
        raise MDGenError(f"--out {out}: runs of a list need a folder, such as --out runs")
    ending = ending_of(options["format"] or "dcd")
    own_to_each = ("structure", "out", "seed", "replicas", "format")
    common = {key: value for key, value in options.items() if key not in own_to_each}
    common["generator"] = for_workers(common["generator"])
    replicas, seed = options["replicas"], options["seed"]
    tasks = []
    for name, sequence in read_split(path).items():
        for replica in range(replicas):
            own = name if replicas == 1 else f"{name}_{replica}"
            its_seed = None if seed is None else named_seed(seed, replica, name)
            place = {"structure": sequence, "out": (out / own / f"{own}{ending}").resolve(), "seed": its_seed}
            tasks.append(Task(own, function, {**common, **place}))
    if not tasks:
        raise MDGenError(f"{path} lists no sequence")
    return tasks
