"""Lists of sequences in CSV files: those to train on, to validate on, to test on or to leave out.

A file has the columns ``name`` and ``seqres``, as the published lists have; other columns are ignored. Where names are
sequences, ``name`` alone will do.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from openmm_mdgen.errors import DataError


def read_split(path: str | Path) -> dict[str, str]:
    """Read a list of sequences.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of name to sequence
        In the order of the file.

    Raises
    ------
    DataError
        If the file cannot be read, has neither column, or has two sequences for one name.
    """
    split: dict[str, str] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            columns = rows.fieldnames or []
            if not {"name", "seqres"} & set(columns):
                raise DataError(f"{path} has columns {', '.join(columns) or 'none'}: it needs name, seqres, or both")
            for row in rows:
                sequence = (row.get("seqres") or row.get("name") or "").strip()
                name = (row.get("name") or sequence).strip()
                if not sequence:
                    raise DataError(f"{path}, line {rows.line_num}: no sequence")
                if split.setdefault(name, sequence) != sequence:
                    raise DataError(f"{path}, line {rows.line_num}: {name} is there twice, with two sequences")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return split


def read_sequences(path: str | Path) -> frozenset[str]:
    """Read the sequences of a CSV file without their names; raises what `read_split` raises."""
    return frozenset(read_split(path).values())


def held_out_sequences() -> frozenset[str]:
    """Sequences of the published validation and test lists of tetrapeptides: the bundled weights have not seen them."""
    with resources.as_file(resources.files("openmm_mdgen") / "weights" / "held_out_sequences.csv") as path:
        return read_sequences(path)


def check_leaks(*, train: Iterable[str], validation: Iterable[str] = (), test: Iterable[str] = ()) -> None:
    """Refuse sequences that are in two of the lists.

    Only equal sequences are found: whoever makes the lists has to keep related proteins apart.

    Parameters
    ----------
    train, validation, test : iterable of str

    Raises
    ------
    DataError
        If two lists share a sequence; the message names it.
    """
    lists = {"train": frozenset(train), "validation": frozenset(validation), "test": frozenset(test)}
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        shared = sorted(lists[first] & lists[second])
        if shared:
            more = f" and {len(shared) - 10} more" if len(shared) > 10 else ""
            raise DataError(
                f"{', '.join(shared[:10])}{more}: in {first} and in {second}. What was trained on says nothing of new "
                f"sequences; take them off {first}."
            )


@dataclass(frozen=True)
class Splits:
    """Lists of sequences by name, none of which is in two of the lists.

    Parameters
    ----------
    train, validation, test : dict of name to sequence

    Raises
    ------
    DataError
        If two lists share a sequence.
    """

    train: dict[str, str]
    validation: dict[str, str] = field(default_factory=dict)
    test: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_leaks(train=self.train.values(), validation=self.validation.values(), test=self.test.values())

    @classmethod
    def read(
        cls,
        *,
        train: str | Path,
        validation: str | Path | None = None,
        test: str | Path | None = None,
        excluded: Collection[str] = frozenset(),
    ) -> Splits:
        """Read the lists from CSV files.

        Parameters
        ----------
        train : str or Path
        validation, test : str or Path, optional
        excluded : collection of str
            Sequences that are taken off the training list.

        Returns
        -------
        Splits

        Raises
        ------
        DataError
            If one cannot be read, or a sequence is in two of them.
        """
        training = {name: sequence for name, sequence in read_split(train).items() if sequence not in excluded}
        return cls(training, *({} if path is None else read_split(path) for path in (validation, test)))
