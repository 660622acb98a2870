"""Files that a command writes, checked before it starts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from openmm_mdgen.errors import MDGenError


def check_outputs(outputs: Iterable[tuple[str, Path | None]], *, inputs: Iterable[Path] = (), force: bool) -> None:
    """Raise `MDGenError` unless every output (option, path) can be written and is none of the inputs."""
    read = {path.resolve() for path in inputs}
    taken: dict[Path, str] = {}
    for option, path in outputs:
        if path is None:
            continue
        if not path.parent.is_dir():
            raise MDGenError(f"{option} {path}: {path.parent}: no such folder; make it first")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise MDGenError(f"{option} {path}: no permission to write in {path.parent}; choose another folder")
        if path.is_dir():
            raise MDGenError(f"{option} {path} is a folder: name a file")
        if path.resolve() in read:
            raise MDGenError(f"{option} {path} is an input: choose another name")
        if path.resolve() in taken:
            raise MDGenError(f"{option} and {taken[path.resolve()]} name one file, {path}: choose two")
        if path.exists() and not force:
            raise MDGenError(f"{option} {path} exists: choose another name, or pass --force to replace it")
        taken[path.resolve()] = option
