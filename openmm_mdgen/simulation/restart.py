"""What a generated run needs for a restart, inside OpenMM's own checkpoint and state files.

Plain OpenMM still loads them.

A *block* is a header (magic, length, checksum) and an npz archive. A checkpoint carries it behind OpenMM's bytes, which
OpenMM does not read; a state carries it as base64 in an element that OpenMM does not know. Equal arrays give equal
bytes.
"""

from __future__ import annotations

import base64
import binascii
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import openmm

from openmm_mdgen.arguments import require
from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.files import replacing, require_file
from openmm_mdgen.protocol import Generator

Arrays = dict[str, np.ndarray]

_MAGIC = b"\x89openmm-mdgen\r\n\x01"
_HEADER = struct.Struct(f"<{len(_MAGIC)}sQI")
_WEIGHTS = "weights"  # checksum and name
_OPEN, _CLOSE = "<MDGen>", "</MDGen>"
_END_OF_STATE = "</State>"


def add_to_checkpoint(checkpoint: bytes, arrays: Arrays) -> bytes:
    """Put `arrays` behind OpenMM's checkpoint."""
    return checkpoint + _pack(arrays)


def split_checkpoint(data: bytes) -> tuple[bytes, Arrays | None]:
    """Take OpenMM's checkpoint apart from the arrays behind it.

    Parameters
    ----------
    data : bytes
        All of a checkpoint file.

    Returns
    -------
    checkpoint : bytes
        OpenMM's own part.
    arrays : dict of str to array, or None
        None where there are none.

    Raises
    ------
    CheckpointError
        If the block is cut short or damaged.
    """
    place = data.rfind(_MAGIC)
    return (data, None) if place < 0 else (data[:place], _unpack(data[place:]))


def add_to_state(xml: str, arrays: Arrays) -> str:
    """Put `arrays` into an element of their own at the end of OpenMM's state."""
    head, end, tail = xml.rpartition(_END_OF_STATE)
    return f"{head}\t{_OPEN}{base64.b64encode(_pack(arrays)).decode()}{_CLOSE}\n{end}{tail}"


def split_state(xml: str) -> tuple[str, Arrays | None]:
    """Take OpenMM's state apart from the arrays in it, which may be None; raises as `split_checkpoint`."""
    head, opening, rest = xml.rpartition(_OPEN)
    if not opening:
        return xml, None
    text, closing, tail = rest.partition(_CLOSE)
    try:
        block = base64.b64decode(text if closing else "", validate=True)
    except binascii.Error:
        block = b""
    return head + tail, _unpack(block)


def weights_of(generator: Generator | None) -> Arrays:
    """What a file keeps of the generator's weights; nothing where it has no checksum."""
    checksum = getattr(generator, "checksum", "")
    return {_WEIGHTS: np.array([checksum, getattr(generator, "name", "")])} if checksum else {}


def require_weights(arrays: Arrays, generator: Generator) -> None:
    """Make sure that a file was written with the weights that a generator has.

    Files of versions that kept no checksum, and of generators without one, pass.

    Raises
    ------
    CheckpointError
        If they are others.
    """
    if _WEIGHTS not in arrays:
        return
    checksum, name = (str(value) for value in arrays[_WEIGHTS])
    own = weights_of(generator).get(_WEIGHTS)
    if own is None or str(own[0]) != checksum:
        ours = f"those of a {type(generator).__name__}" if own is None else f"{own[1]!s:.60} ({own[0]!s:.12})"
        raise CheckpointError(
            f"this file was written with the weights {name} ({checksum:.12}), and the simulation has {ours}: make the "
            "simulation with the generator that wrote the file, or start anew from its positions"
        )


def read(file: Any, mode: str) -> Any:
    """Read all of a file, which is given by name or open."""
    if not isinstance(file, str | Path):
        require("file", file, hasattr(file, "read"), "the name of a file, or an open one")
        return file.read()
    require_file(file)
    try:
        with open(file, mode) as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{file} is no state, which is a text: load it by loadCheckpoint if it is one") from error


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Around OpenMM's reading of its own part; `what` is a checkpoint or a state.

    Raises
    ------
    CheckpointError
        If OpenMM cannot read it.
    """
    try:
        yield
    except MDGenError:
        raise
    except (openmm.OpenMMException, ValueError) as error:
        raise CheckpointError(
            f"this file cannot be loaded as a {what} ({error}): give one that was saved on the same platform, with the "
            "same System and integrator"
        ) from error


def save(data: bytes | str, file: Any) -> None:
    """Write to a file, which is given by name (then it appears whole) or open."""
    if isinstance(file, str | Path):
        if Path(file).is_dir():
            raise MDGenError(f"{file} is a folder: name a file")
        with replacing(file) as temporary:
            temporary.write_bytes(data) if isinstance(data, bytes) else temporary.write_text(data)
    else:
        file.write(data)


def _pack(arrays: Arrays) -> bytes:
    archive = io.BytesIO()
    np.savez(archive, **arrays)  # type: ignore[arg-type]  # the stub takes any name for allow_pickle
    payload = archive.getvalue()
    return _HEADER.pack(_MAGIC, len(payload), zlib.crc32(payload)) + payload


def _unpack(block: bytes) -> Arrays:
    payload = block[_HEADER.size :]
    if len(block) < _HEADER.size or _HEADER.unpack_from(block) != (_MAGIC, len(payload), zlib.crc32(payload)):
        raise CheckpointError(
            "the generator's part of this file is cut short or damaged: restart from an earlier checkpoint or state"
        )
    with np.load(io.BytesIO(payload), allow_pickle=False) as archive:
        return dict(archive)
