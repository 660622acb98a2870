"""What DCD files say of themselves, and what mdtraj's readers print of them."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def warn_of_missing_frames(path: Path, n_frames: int) -> None:
    """Warn if the header of a DCD file counts more frames than there are."""
    if path.suffix.lower() != ".dcd":
        return
    with path.open("rb") as file:
        header = file.read(12)
    order = "<" if header[:4] == struct.pack("<i", 84) else ">"
    counted = struct.unpack(order + "i", header[8:12])[0]
    if counted > n_frames:
        warnings.warn(
            f"{path}: its header counts {counted} frames, and {n_frames} are there: it seems to be cut short",
            stacklevel=2,
        )


@contextmanager
def quiet_readers() -> Iterator[None]:
    """Keep what readers in C print from standard output and error, and mdtraj's advice to install a faster package."""
    with warnings.catch_warnings(), _quiet_output():
        warnings.filterwarnings("ignore", ".*'netCDF4' Python package is not installed")
        yield


@contextmanager
def _quiet_output() -> Iterator[None]:
    try:
        flush = ctypes.CDLL(None).fflush
        sys.stdout.flush(), sys.stderr.flush()
        kept = {number: os.dup(number) for number in (1, 2)}
    except (AttributeError, OSError, TypeError, ValueError):  # on systems or in programs without them
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        flush(None)
        for number in kept:
            os.dup2(nowhere, number)
        yield
    finally:
        flush(None)
        for number, descriptor in kept.items():
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.close(nowhere)
