"""Files and folders that a command writes, tried before it starts."""

from __future__ import annotations

import json as to_json
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import remove_left_over, require_writable, write_json

PRINTED = Path("-")  # in the place of a file for JSON: the output stream


def teller(json: Path | None) -> Callable[[str], None]:
    """What prints a command's text; nothing where JSON is printed in its place."""
    return (lambda text: None) if json == PRINTED else typer.echo


def write_numbers(path: Path | None, content: object) -> None:
    """Write JSON to a file, or print it where the path is a dash; a value that JSON does not know raises."""
    if path == PRINTED:
        typer.echo(to_json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False))
    elif path is not None:
        write_json(path, content)


def check_outputs(outputs: Iterable[tuple[str, Path | None]], *, inputs: Iterable[Path] = (), force: bool) -> None:
    """Raise `MDGenError` unless every output (option, path) can be written and is none of the inputs.

    What processes that were killed have left in the outputs' folders is removed.
    """
    read = {path.resolve() for path in inputs}
    taken: dict[Path, str] = {}
    for option, path in outputs:
        if path is None or path == PRINTED:
            continue
        if path.is_dir():
            raise MDGenError(f"{option} {path} is a folder: name a file")
        _require_no_file_above(option, path)
        if not path.parent.is_dir():
            raise MDGenError(f"{option} {path}: {path.parent}: no such folder; make it first")
        if path.resolve() in read:
            raise MDGenError(f"{option} {path} is an input: choose another name")
        if path.resolve() in taken:
            raise MDGenError(f"{option} and {taken[path.resolve()]} name one file, {path}: choose two")
        if path.exists() and not path.is_file():
            raise MDGenError(f"{option} {path} is a device, and no file: choose another name")
        if path.exists() and not force:
            raise MDGenError(f"{option} {path} exists: choose another name, or pass --force to replace it")
        taken[path.resolve()] = option
        _try(option, path, path.parent)
        remove_left_over(path.parent)


def check_inputs(inputs: Iterable[Path], made: Iterable[Path]) -> None:
    """Raise `MDGenError` where a file that is made in ``--out`` would replace an input."""
    read = {path.resolve() for path in inputs}
    for path in made:
        if path.resolve() in read:
            raise MDGenError(f"--out: {path} is an input, and would be replaced: choose another folder")


def check_folder(out: Path) -> Path:
    """`--out` as a folder, which may be new as those above it may be; it is not made here.

    Raises
    ------
    MDGenError
        If it can be none, or nothing can be written there.
    """
    if out.exists() and not out.is_dir():
        raise MDGenError(f"--out {out} is a file: name a folder")
    _require_no_file_above("--out", out)
    _try("--out", out, _above(out))
    remove_left_over(out)
    return out


def _above(path: Path) -> Path:
    """The path itself where it is there, else the nearest above it that is."""
    return next(one for one in (path, *path.resolve().parents) if one.exists())


def _require_no_file_above(option: str, path: Path) -> None:
    """Raise `MDGenError` if a file stands where a folder above the path would have to be."""
    if path.exists():
        return
    above = _above(path)
    if not above.is_dir():
        raise MDGenError(f"{option} {path} cannot be written to: {above} is a file; name another folder")


def _try(option: str, path: Path, folder: Path) -> None:
    try:
        require_writable(folder)
    except OSError as error:
        raise MDGenError(
            f"{option} {path}: {folder} cannot be written to ({error.strerror}); choose another folder"
        ) from error
