"""Many runs shared out among the workers of a dask cluster, each with files of its own.

A task is a function that goes on where its files end, and says so where they are finished: so tasks may be given again
at any time, by a scheduler that has lost a worker or by a user. Workers and client see the same folders.
"""

from __future__ import annotations

import io
import logging
import threading
import time as clock
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from openmm_mdgen.arguments import require_package
from openmm_mdgen.errors import BusyError, MDGenError
from openmm_mdgen.manifest import COMMAND, command_line

if TYPE_CHECKING:
    from distributed import Client

_SECONDS_BETWEEN_LOOKS = 1.0  # at files that another process still writes
_one_at_a_time = threading.Lock()  # in a worker: tasks take the whole of its process


@dataclass(frozen=True)
class Task:
    """One run.

    Parameters
    ----------
    name : str
        What it is called in messages; unlike those of other tasks.
    function : callable
        Called on a worker with `options`; a function of an installed module. What it prints is dropped.
    options : dict
    """

    name: str
    function: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """A run that has ended: what it returned, or the error that it failed with."""

    name: str
    result: Any = None
    error: str = ""


@contextmanager
def connected(scheduler: str | None = None, workers: int | None = None) -> Iterator[Client]:
    """A client of a cluster.

    Parameters
    ----------
    scheduler : str, optional
        Address, such as ``"tcp://head:8786"``. Default: a cluster of processes on this machine, for the time being.
    workers : int, optional
        Processes of that cluster, each with one thread. Default: one a core, or one a GPU.

    Raises
    ------
    MissingPackageError
        If the package `distributed` is missing.
    MDGenError
        If nobody answers at the address.
    """
    require_distributed()
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout="10s")
        except (OSError, ValueError) as error:
            raise MDGenError(
                f"--scheduler {scheduler}: no scheduler of dask answers there; start one with 'dask scheduler'"
            ) from error
        with client:
            yield client
        return
    n = _devices() if workers is None else workers
    options = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    with LocalCluster(n_workers=n, **options) as cluster, Client(cluster) as client:
        yield client


def require_distributed() -> None:
    """Raise `MissingPackageError` unless dask's `distributed` is installed: to be called before the work begins."""
    require_package("distributed", "many runs need distributed: pip install 'openmm_mdgen[workers]'")


def carry_out(tasks: Sequence[Task], client: Client, advance: Callable[[int], None] = lambda n: None) -> list[Ended]:
    """Run tasks on the workers of a client; a task whose worker is lost goes on, on another one.

    Parameters
    ----------
    tasks : sequence of Task
    client : distributed.Client
        Of any cluster, such as ``LocalCluster(threads_per_worker=1)`` or one of dask-jobqueue.
    advance : callable
        Called with 1 whenever a task has ended.

    Returns
    -------
    list of Ended
        In the order of the tasks. A task that fails does not hinder others.
    """
    from distributed import as_completed

    command = tuple(command_line())
    attempt = uuid.uuid4().hex
    futures = {
        client.submit(_called, task.function, task.options, command, key=f"{task.name}-{attempt}", pure=False): task
        for task in tasks
    }
    found = {}
    for future in as_completed(futures):
        name = futures[future].name
        try:
            result, error = future.result()
        except Exception as fault:  # such as workers that were lost again and again
            result, error = None, f"{type(fault).__name__}: {fault}"
        found[name] = Ended(name, result, error)
        advance(1)
    return [found[task.name] for task in tasks]


def here(tasks: Sequence[Task], advance: Callable[[int], None] = lambda n: None) -> list[Any]:
    """What tasks return that run in this process, one after the other; an error of the first that fails is raised.

    Parameters are those of `carry_out`.
    """
    results = []
    for task in tasks:
        with redirect_stdout(io.StringIO()):
            results.append(task.function(**task.options))
        advance(1)
    return results


def _called(function: Callable[..., Any], options: dict[str, Any], command: tuple[str, ...]) -> tuple[Any, str]:
    """On a worker: what a function returns, or why it could not; manifests have the client's command.

    A client that was killed may have left the same run on another worker: it is waited for.
    """
    COMMAND.set(command)
    with _one_at_a_time, redirect_stdout(io.StringIO()):
        while True:
            try:
                return function(**options), ""
            except BusyError:
                clock.sleep(_SECONDS_BETWEEN_LOOKS)
            except (MDGenError, OSError) as error:
                return None, str(error)


def _devices() -> int:
    """GPUs of this machine, or its cores."""
    import os

    import torch

    return torch.cuda.device_count() or os.cpu_count() or 1
