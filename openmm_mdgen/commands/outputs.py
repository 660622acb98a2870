"""Files and folders that a command writes, tried before it starts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import remove_left_over, require_writable


def check_outputs(outputs: Iterable[tuple[str, Path | None]], *, inputs: Iterable[Path] = (), force: bool) -> None:
    """Raise `MDGenError` unless every output (option, path) can be written and is none of the inputs.

    What processes that were killed have left in the outputs' folders is removed.
    """
    read = {path.resolve() for path in inputs}
    taken: dict[Path, str] = {}
    for option, path in outputs:
        if path is None:
            continue
        if path.is_dir():
            raise MDGenError(f"{option} {path} is a folder: name a file")
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


def check_folder(out: Path, *, parents: bool = False) -> Path:
    """`--out` as a folder, which may be new.

    Parameters
    ----------
    out : Path
    parents : bool
        Whether folders above it may be new, too.

    Raises
    ------
    MDGenError
        If it can be none, or nothing can be written there.
    """
    if out.exists() and not out.is_dir():
        raise MDGenError(f"--out {out} is a file: name a folder")
    above = next(folder for folder in (out, *out.resolve().parents) if folder.exists())
    if not above.is_dir():
        raise MDGenError(f"--out {out} cannot be written to: {above} is a file; name another folder")
    if not (parents or above in (out, out.resolve().parent)):
        raise MDGenError(f"--out {out}: {out.parent}: no such folder; make it first")
    _try("--out", out, above)
    remove_left_over(out)
    return out


def _try(option: str, path: Path, folder: Path) -> None:
    try:
        require_writable(folder)
    except OSError as error:
        raise MDGenError(
            f"{option} {path}: {folder} cannot be written to ({error.strerror}); choose another folder"
        ) from error
