"""Files that appear whole or not at all.

A file is written under a temporary name beside its own, which names machine and process: what a killed process has left
is removed when the file is written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from openmm_mdgen.errors import MDGenError

if TYPE_CHECKING:
    import numpy as np

PROTOCOL_FILE = "protocol.json"  # in a folder of MD: how it was made
_TEMPORARY = re.compile(r"\.(?P<stem>.+)\.(?P<host>[^.]+)-(?P<pid>\d+)\.partial(?P<suffix>\.[^.]*)?")


def require_file(path: str | Path) -> None:
    """Raise `MDGenError` unless a file is there."""
    if Path(path).is_dir():
        raise MDGenError(f"{path} is a folder: name a file")
    if not Path(path).is_file():
        raise MDGenError(f"{path}: no such file")


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are not there; raise `MDGenError` if a file is in its place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise MDGenError(f"{folder} cannot be made a folder, a file is in its place: choose another") from error


def require_writable(folder: Path) -> None:
    """Raise ``OSError`` unless a file can be made in a folder that is there."""
    with tempfile.TemporaryFile(dir=folder):
        pass


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix; renamed to it when the block succeeds, removed when it fails.

    A path that is temporary already is given as it is.
    """
    path = Path(path)
    if _TEMPORARY.fullmatch(path.name):
        yield path
        return
    remove_left_over(path.parent, path.stem)
    temporary = path.with_name(f".{path.stem}.{_host()}-{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename == str(temporary):  # its reader knows the file by its own name
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_left_over(folder: Path, stem: str | None = None) -> None:
    """Remove temporary files of processes of this machine that are no longer there.

    Parameters
    ----------
    folder : Path
        Where it is not there, nothing happens.
    stem : str, optional
        Name, without its suffix, of the file that was to be written. Default: any.
    """
    if not folder.is_dir():
        return
    for entry in list(os.scandir(folder)):
        found = _TEMPORARY.fullmatch(entry.name) if entry.name.startswith(".") else None
        if found and stem in (None, found["stem"]) and found["host"] == _host() and not _runs(int(found["pid"])):
            Path(entry.path).unlink(missing_ok=True)


def _host() -> str:
    """The machine's name, without dots."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", socket.gethostname()) or "unknown"


def _runs(pid: int) -> bool:
    """Whether a process is there."""
    import psutil  # os.kill(pid, 0), which asks on other systems, ends the process on Windows

    return psutil.pid_exists(pid)


def digest_of(path: str | Path, digest: hashlib._Hash) -> str:
    """A digest that has been begun, such as ``hashlib.sha256()``, of a file; in hexadecimal digits."""
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    return digest_of(path, hashlib.sha256())


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file; reading it runs no code.

    Raises
    ------
    ValueError
        If it cannot be read as that, with the reason.
    """
    import numpy as np  # here, so that the command's help is quick

    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error


def write_json(path: str | Path, content: object) -> None:
    """Write numbers and text for machines; a value that JSON does not know, such as NaN, raises ``ValueError``."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
