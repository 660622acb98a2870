"""Files that appear whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openmm_mdgen.errors import MDGenError


def require_file(path: str | Path) -> None:
    """Raise `MDGenError` unless a file is there."""
    if Path(path).is_dir():
        raise MDGenError(f"{path} is a folder: name a file")
    if not Path(path).is_file():
        raise MDGenError(f"{path}: no such file")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix; renamed to it when the block succeeds, removed when it fails."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: object) -> None:
    """Write numbers and text for machines; a value that JSON does not know, such as NaN, raises ``ValueError``."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
