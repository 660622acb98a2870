"""Lists of sequences, to train on or to leave out."""

from __future__ import annotations

import csv
from pathlib import Path


def read_sequences(path: Path) -> frozenset[str]:
    """The column ``seqres`` (or ``name``) of a CSV file."""
    with open(path, newline="") as file:
        return frozenset(row.get("seqres") or row["name"] for row in csv.DictReader(file))
