"""The MD that ``train`` and ``fine-tune`` read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.settings import documented, setting

if TYPE_CHECKING:
    from openmm_mdgen.data import Recording, Splits

_DATA = "Data"

Folders = Annotated[
    list[Path],
    typer.Argument(help="Folders with NAME.pdb and NAME.xtc (or .dcd, .trr, .nc, .h5) of one molecule each."),
]
RunFolder = Annotated[Path, typer.Option(help="Folder for checkpoints and weights; a run that is found there goes on.")]


@documented
@dataclass(frozen=True)
class TrainingData:
    """What is read from the folders: PDB files and trajectories, or arrays where their interval is given."""

    exclude: tuple[Path, ...] = setting(
        (), "CSV file of sequences that are not to be trained on; the option may be repeated.", group=_DATA
    )
    split: Path | None = setting(
        None,
        "CSV file of the names and sequences to train on.",
        group=_DATA,
        shown_default="all that are in the folders",
    )
    test_split: Path | None = setting(
        None, "CSV file of sequences that must not be among those to train or to validate on.", group=_DATA
    )
    array_interval: float | None = setting(
        None,
        "Time between the frames of prepared arrays, such as 100ps, which are then read from NAME.npy files in place "
        "of PDB files and trajectories. A bare number is in picoseconds.",
        group=_DATA,
        is_time=True,
    )
    array_suffix: str = setting(
        "", "What follows NAME in the names of prepared arrays, such as _i100 for NAME_i100.npy.", group=_DATA
    )

    def excluded(self) -> frozenset[str]:
        """Sequences that are not to be trained on."""
        from openmm_mdgen.data import read_sequences

        return frozenset().union(*(read_sequences(path) for path in self.exclude))

    def splits(self, validation: Path | None = None) -> Splits | None:
        """The lists of sequences, checked for leaks; None where all that is in the folders is trained on."""
        from openmm_mdgen.data import Splits

        if self.split is not None:
            return Splits.read(train=self.split, validation=validation, test=self.test_split, excluded=self.excluded())
        if validation is not None or self.test_split is not None:
            raise MDGenError("--validation-split and --test-split go with --split, the CSV of those to train on")
        return None

    def read(
        self, folders: list[Path], listed: dict[str, str] | None, excluded: frozenset[str] = frozenset()
    ) -> list[Recording]:
        """Recordings of the sequences in `listed` (by name), or of all that are in the folders without it."""
        from openmm_mdgen.data import read_arrays, read_folders

        if self.array_interval is None:
            return read_folders(folders, excluded=excluded, only=None if listed is None else set(listed.values()))
        if listed is None:
            raise MDGenError(
                "--array-interval: arrays do not hold their sequences; give those to train on as --split, those to "
                "validate on as --validation-split"
            )
        if len(folders) > 1:
            raise MDGenError(f"--array-interval reads one folder, not {len(folders)}: put the arrays into one")
        return read_arrays(folders[0], listed, interval=self.array_interval, suffix=self.array_suffix)


def require_training() -> None:
    """Raise `MissingPackageError` unless the libraries that training needs are installed."""
    from openmm_mdgen import training

    training.require_lightning()
