"""What becomes of a run that is asked for where one has been: it goes on, is lengthened, is finished, or is another.

The manifest beside the outputs has the settings of the run that made them. Times in picosecond.
"""

from __future__ import annotations

import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.files import sha256_of
from openmm_mdgen.manifest import Manifest, beside, require_none
from openmm_mdgen.md.trajectory_files import grows_in
from openmm_mdgen.runs.checkpoints import Checkpoint
from openmm_mdgen.runs.jobs import Job
from openmm_mdgen.runs.long_run import Outputs
from openmm_mdgen.runs.machine import changes, known_of

LENGTHS = ("time", "samples")  # the settings that say how long a run is
ADDED = "added"  # in a manifest's `about`: what was added to the length, each time


@dataclass(frozen=True, eq=False)
class Earlier:
    """The run that has been where one is asked for.

    Parameters
    ----------
    manifest : Manifest
    checkpoint : Checkpoint, optional
        None where none was written, or it is gone.
    """

    manifest: Manifest
    checkpoint: Checkpoint | None

    @classmethod
    def at(cls, out: Path, outputs: Outputs) -> Earlier | None:
        """The run whose outputs these are; None where there is none, or all of its trajectories were removed.

        Raises
        ------
        CheckpointError
            If its files are not as it left them.
        MDGenError
            If something else has the name of its manifest.
        """
        require_none(beside(out))
        manifest = Manifest.read(beside(out))
        if manifest is None or not manifest.run:
            return None
        made = [out.parent / name for name in manifest.outputs]
        if not any(path.exists() or grows_in(path).exists() for path in made if path != outputs.topology):
            return None
        if set(manifest.outputs) != {path.name for path in outputs.all}:
            return cls(manifest, None)  # of other replicas or of another format, which `require_same` refuses
        try:
            return cls(manifest, outputs.goes_on_from(manifest.run))
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}: put it back as it was to go on with the run, or pass --force to start it anew"
            ) from error

    @property
    def added(self) -> list[float]:
        """What was added to the length that was asked for at first."""
        return list(self.manifest.about.get(ADDED, ()))

    @property
    def is_finished(self) -> bool:
        return self.manifest.is_finished

    def require_same(self, asked: dict[str, Any], out: Path) -> None:
        """Raise `MDGenError` with the differences if other settings are asked for."""
        differences = self.manifest.differences(asked)
        if not differences:
            return
        longer = all(difference.split()[0] in LENGTHS for difference in differences)
        more = "lengthen it with --extend, " if longer else ""
        raise MDGenError(
            f"--out {out} is of a run with {'; '.join(differences)}: {more}choose another name, or pass --force to "
            "start anew"
        )

    def with_added(self, more: float | None, out: Path) -> list[float]:
        """What is added to the length in all when so much more is asked for.

        A run that was stopped while it was being lengthened by as much goes on with that.

        Raises
        ------
        MDGenError
            If the checkpoint is gone.
        """
        if more is None:
            return self.added
        if self.is_finished and self.checkpoint is None:
            raise MDGenError(f"--extend: the checkpoint of {out} is gone, so nothing can be added to it")
        if not self.is_finished and self.added[-1:] == [more]:
            return self.added
        return [*self.added, more]


def manifest_of(
    job: Job,
    outputs: Outputs,
    settings: dict[str, Any],
    inputs: list[Path],
    earlier: Earlier | None,
    noted: list[str],
) -> Manifest:
    """The manifest of a run that begins or goes on; one that goes on takes as many threads as before.

    Parameters
    ----------
    job : Job
    outputs : Outputs
    settings : dict
        What decides the outputs, as `Manifest` has it.
    inputs : list of Path
        Files that are read.
    earlier : Earlier, optional
        The run that goes on.
    noted : list of str
        What was warned of; more may be added to it later.
    """
    manifest = Manifest(
        [path.name for path in outputs.all],
        settings=settings,
        seed=job.seed,
        inputs={str(path): sha256_of(path) for path in inputs if path.is_file()},
        warnings=noted,
        run=uuid.uuid4().hex if earlier is None else earlier.manifest.run,
        **known_of(job.generator),
    )
    if earlier is None or earlier.checkpoint is None:
        return manifest
    made = earlier.manifest
    manifest.machine |= {"threads": made.machine["threads"]} if "threads" in made.machine else {}
    manifest.seconds = earlier.checkpoint.seconds
    other = [*changes(made.versions, manifest.versions), *changes(made.machine, manifest.machine)]
    if other:
        warnings.warn(
            f"the run was begun with {'; '.join(other)}: frames from here on may be rounded otherwise than those of a "
            "run that was not stopped",
            stacklevel=2,
        )
    return manifest
