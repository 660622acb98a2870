"""A run that writes its trajectory as it goes, and goes on after the last checkpoint when it was stopped.

All frames of a checkpoint are on disk before it is written, so a run that is killed at any time loses what came after
its last checkpoint and nothing else. A *report* is a frame that is written. Times in seconds.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from openmm_mdgen.errors import BusyError, CheckpointError
from openmm_mdgen.files import replacing
from openmm_mdgen.manifest import beside
from openmm_mdgen.md.growing import Growing
from openmm_mdgen.md.structures import write_pdb
from openmm_mdgen.md.trajectory_files import growing, grows_in
from openmm_mdgen.runs.checkpoints import SUFFIX, Checkpoint
from openmm_mdgen.runs.completing import completed, held_in, taken_up
from openmm_mdgen.runs.jobs import Job
from openmm_mdgen.runs.sources import Source, source_of

_SHARE = 0.02  # of the time, at most, that checkpoints may take


@dataclass(frozen=True)
class Outputs:
    """The files of a run.

    Parameters
    ----------
    topology : Path
        A PDB file of the start.
    trajectories : tuple of Path
        One for each replica.
    """

    topology: Path
    trajectories: tuple[Path, ...]

    @classmethod
    def of(cls, out: Path, replicas: int) -> Outputs:
        """The files of a run that is to be written to a trajectory file, or to as many as there are replicas."""
        numbered = tuple(out.with_stem(f"{out.stem}_{k:03d}") for k in range(replicas))
        return cls(out.with_suffix(".pdb"), numbered if replicas > 1 else (out,))

    @property
    def all(self) -> tuple[Path, ...]:
        return (self.topology, *self.trajectories)

    @property
    def unfinished(self) -> tuple[Path, ...]:
        """Files in which trajectories grow that cannot grow in place."""
        return tuple(grows_in(path) for path in self.trajectories if grows_in(path) != path)

    @property
    def checkpoint(self) -> Path:
        return self.topology.with_suffix(SUFFIX)

    @property
    def lock(self) -> Path:
        return self.topology.with_suffix(".lock")

    def goes_on_from(self, run: str) -> Checkpoint | None:
        """The checkpoint of a run; None where none was written.

        Raises
        ------
        CheckpointError
            If it cannot be read, or files of the trajectory are not as the run left them.
        """
        if not self.checkpoint.exists():
            return None
        checkpoint = Checkpoint.load(self.checkpoint)
        if checkpoint.run != run:  # of one that was replaced
            return None
        if len(checkpoint.extents) != len(self.trajectories):
            raise CheckpointError(f"{self.checkpoint} is of {len(checkpoint.extents)} trajectories")
        for path, extent in zip(self.trajectories, checkpoint.extents, strict=True):
            held_in(path, extent)
        return checkpoint

    def require_replaceable(self, *, force: bool) -> None:
        """Raise `CheckpointError` if something else has the name of the checkpoint, unless it may be replaced."""
        if self.checkpoint.exists() and not force:
            Checkpoint.load(self.checkpoint)

    @property
    def stamp(self) -> list[tuple[int, int] | None]:
        """What changes whenever a run goes on here."""
        paths = (beside(self.topology), self.checkpoint)
        return [(path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None for path in paths]

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Let no other process write these files meanwhile; the operating system lets go of them if this one dies.

        Raises
        ------
        BusyError
            If another one writes them.
        """
        lock = FileLock(self.lock)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(f"another run writes {self.trajectories[0]}: wait for it, or choose another name") from None
        except NotImplementedError:  # a file system without locks
            pass
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes it when it is released
                self.lock.unlink()  # while it is held: else it could be another process's by then
            lock.release()


@dataclass(frozen=True)
class Outcome:
    """What is told at the end of a run; of all its parts where it was stopped."""

    redraws: int  # segments that were drawn anew
    overlapping: int  # written frames in which chains overlap


class LongRun:
    """A run, from its start or from a checkpoint.

    Parameters
    ----------
    run : str
        By which the run is known; see `Checkpoint`.
    job : Job
    outputs : Outputs
    checkpoint : Checkpoint, optional
        What the run goes on from. Default: it is new.
    begin : callable
        Called before the first file is made or added to.
    """

    def __init__(
        self, run: str, job: Job, outputs: Outputs, checkpoint: Checkpoint | None, begin: Callable[[], None]
    ) -> None:
        self._run, self._job, self._outputs, self._begin = run, job, outputs, begin
        self._last = checkpoint
        self.n_reports = 0 if checkpoint is None else checkpoint.n_reports
        self._overlapping = 0 if checkpoint is None else checkpoint.overlapping
        self._seconds_before = 0.0 if checkpoint is None else checkpoint.seconds
        self._begun = clock.perf_counter()
        self._due = self._begun  # when the next checkpoint may be written

    @property
    def kept(self) -> int:
        """Reports in each trajectory file that are never lost."""
        return 0 if self._last is None else self._last.n_reports

    @property
    def seconds(self) -> float:
        """Time that was spent so far, with what was spent before the checkpoint."""
        return self._seconds_before + clock.perf_counter() - self._begun

    def finish(self, advance: Callable[[int], None] = lambda n: None) -> Outcome:
        """Generate all that is left.

        Parameters
        ----------
        advance : callable
            Called with a number of reports whenever some are written.

        Raises
        ------
        GenerationError
            If the generator fails. What is in the last checkpoint is kept.
        OSError
            If files cannot be written, as on a full disk. What is in the last checkpoint is kept.
        """
        source = source_of(self._job, None if self._last is None else self._last.source)
        n_reports = self._job.length.n_reports
        with ExitStack() as stack:
            files: list[Growing] = []
            for block in source.blocks():
                files = files or self._opened(stack)
                self._write(block, files)
                if clock.perf_counter() >= self._due or self.n_reports == n_reports:
                    self._save(source, files)
                advance(block.shape[1])
        self._complete()
        return Outcome(source.redraws, self._overlapping)

    def _opened(self, stack: ExitStack) -> list[Growing]:
        """The trajectory files; now those of an older run are replaced."""
        job, outputs, last = self._job, self._outputs, self._last
        if last is None:
            outputs.checkpoint.unlink(missing_ok=True)
            stack.callback(self._remove_unless_kept)
        self._begin()
        if last is None or not outputs.topology.exists():
            with replacing(outputs.topology) as temporary:
                write_pdb(temporary, job.prepared.topology, job.start)
        extents = [None] * len(outputs.trajectories) if last is None else last.extents
        files = []
        topology, timing = job.prepared.topology, job.length.timing
        for path, extent in zip(outputs.trajectories, extents, strict=True):
            if extent is None:
                path.unlink(missing_ok=True)
            else:
                extent = taken_up(path, extent, topology, timing)
            files.append(growing(grows_in(path), topology, timing, extent))
            stack.callback(files[-1].close)
        return files

    def _remove_unless_kept(self) -> None:
        """Where a new run fails before its first checkpoint, nothing is left of it."""
        if self._last is None:
            for path in (*self._outputs.all, *self._outputs.unfinished):
                path.unlink(missing_ok=True)

    def _complete(self) -> None:
        """Write those trajectories whole that have grown in another file."""
        last, paths = self._last, self._outputs.trajectories
        if last is None or not self._outputs.unfinished:
            return
        of = self._job.prepared.topology, self._job.length.timing
        extents = tuple(completed(path, extent, *of) for path, extent in zip(paths, last.extents, strict=True))
        self._last = replace(last, extents=extents)
        self._last.save(self._outputs.checkpoint)
        for path in self._outputs.unfinished:
            path.unlink(missing_ok=True)

    def _write(self, block: np.ndarray, files: list[Growing]) -> None:
        for frames, file in zip(block, files, strict=True):
            for frame in frames:
                file.write(frame)
            if self._job.overlaps and len(frames):
                self._overlapping += int(self._job.overlaps.among(frames).sum())
        self.n_reports += block.shape[1]

    def _is_saved(self, checkpoint: Checkpoint) -> bool:
        with suppress(CheckpointError, OSError):
            saved = Checkpoint.load(self._outputs.checkpoint)
            return (saved.run, saved.n_reports) == (checkpoint.run, checkpoint.n_reports)
        return False

    def _save(self, source: Source, files: list[Growing]) -> None:
        begun = clock.perf_counter()
        extents = tuple(file.flush() for file in files)
        checkpoint = Checkpoint(
            self._run, self.n_reports, self._job.start, extents, self._overlapping, self.seconds, source.state()
        )
        before = self._last
        try:  # a signal may come at any time: what is kept is what is on disk
            self._last = checkpoint
            checkpoint.save(self._outputs.checkpoint)
        except BaseException:
            self._last = checkpoint if self._is_saved(checkpoint) else before
            raise
        ended = clock.perf_counter()
        self._due = ended + (ended - begun) / _SHARE
