"""The manifest of what a command makes at once, written beside its outputs when they are there."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from openmm_mdgen.commands.outputs import PRINTED
from openmm_mdgen.files import sha256_of
from openmm_mdgen.manifest import OF_FOLDER, Manifest, beside, now, require_none

OPTIONS: ContextVar[dict[str, Any]] = ContextVar("OPTIONS")  # of the command at work, with those that were left out
WARNINGS: ContextVar[list[str]] = ContextVar("WARNINGS")  # what it has warned of so far


class Recording:
    """A command at work, from when it knows what it makes.

    Parameters
    ----------
    outputs : iterable of Path or None
        Files that are made; None stands for one that was not asked for.
    inputs : iterable of Path
        Files that are read; those that are not there, such as sequences, are left out.
    folder : Path, optional
        Folder that is an output as a whole: the manifest is ``manifest.json`` in it. Default: files of one folder share
        a manifest, which is named after the first of them.
    **known
        What else is known of the outputs: fields of `Manifest`.
    """

    def __init__(
        self, outputs: Iterable[Path | None], *, inputs: Iterable[Path] = (), folder: Path | None = None, **known: Any
    ) -> None:
        self.outputs = [path for path in outputs if path is not None and path != PRINTED]
        self._folder, self._begun = folder, clock.perf_counter()
        for path in self._paths():
            require_none(path)
        read = {str(path): sha256_of(path) for path in inputs if path.is_file()}
        self.manifest = Manifest([], inputs=read, settings=_options(), **known)

    def part(self, outputs: Iterable[Path], **options: Any) -> Recording:
        """Some of the outputs of the same work, with a manifest of their own; options as of the class."""
        part = Recording(outputs, **options)
        part._begun, part.manifest.begun = self._begun, self.manifest.begun
        return part

    def write(self, **known: Any) -> None:
        """Write the manifest, now that the outputs are there; `known` as before."""
        manifest = self.manifest
        for name, value in known.items():
            setattr(manifest, name, value)
        manifest.ended, manifest.seconds, manifest.is_finished = now(), clock.perf_counter() - self._begun, True
        manifest.warnings = list(WARNINGS.get([]))
        for path, made in self._paths().items():
            manifest.outputs = [output.name for output in made]
            manifest.write(path)

    def _paths(self) -> dict[Path, list[Path]]:
        """Each manifest, with the outputs that it is of."""
        folders: dict[Path, list[Path]] = {}
        for path in self.outputs:
            folders.setdefault(path.parent, []).append(path)
        return {self._folder / OF_FOLDER if self._folder else beside(made[0]): made for made in folders.values()}


def _options() -> dict[str, Any]:
    """The options of the command by their names."""
    return {name.replace("_", "-"): _plain(value) for name, value in OPTIONS.get({}).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)
