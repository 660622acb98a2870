"""Seeds of reference MD that is not finished, kept in its folder: the same command goes on without naming them.

A finished system states its own in ``protocol.json``; until then it stands in ``OUT/seeds.json``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from openmm_mdgen.files import PROTOCOL_FILE, make_folder, write_json
from openmm_mdgen.md.planning import MDSystem

_FILE = "seeds.json"
BEFORE_SEEDS_WERE_DRAWN = 0  # what versions took that kept none


class KeptSeeds:
    """The seeds of the systems in a folder.

    Parameters
    ----------
    out : Path
        The folder, which may not be there yet.
    """

    def __init__(self, out: Path) -> None:
        self._out, self._path = out, out / _FILE
        self._found = dict(json.loads(self._path.read_text(encoding="utf-8"))) if self._path.is_file() else {}

    @property
    def are_of_an_older_version(self) -> bool:
        """Whether systems were begun there, and nothing says with which seeds: it was `BEFORE_SEEDS_WERE_DRAWN`."""
        return not self._found and self._out.is_dir() and any(self._out.glob(".group-*"))

    def taken_up(self, systems: Iterable[MDSystem]) -> list[MDSystem]:
        """The systems, those that were begun before with the seed that they had then."""
        return [replace(system, seed=self._of(system)) for system in systems]

    def _of(self, system: MDSystem) -> int:
        protocol = self._out / system.name / PROTOCOL_FILE
        if protocol.is_file():
            return int(json.loads(protocol.read_text(encoding="utf-8")).get("seed", system.seed))
        return int(self._found.get(system.name, system.seed))

    def keep(self, systems: Iterable[MDSystem]) -> None:
        """Keep the seeds of systems that are begun now."""
        make_folder(self._out)
        self._write(self._found | {system.name: system.seed for system in systems})

    def drop(self, systems: Iterable[MDSystem]) -> None:
        """Forget those of systems that are finished."""
        names = {system.name for system in systems}
        self._write({name: seed for name, seed in self._found.items() if name not in names})

    def _write(self, seeds: dict[str, int]) -> None:
        self._found = seeds
        if seeds:
            write_json(self._path, seeds)
        else:
            self._path.unlink(missing_ok=True)
