"""What made an output: a file of JSON beside it, its *manifest*.

A manifest is of one or several outputs in its folder: ``traj.manifest.json`` beside ``traj.dcd``, or ``manifest.json``
in a folder that is an output as a whole. Times of day are ISO 8601, in UTC.
"""

from __future__ import annotations

import json
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import write_json

FORMAT = "openmm_mdgen manifest 1"
OF_FOLDER = "manifest.json"
_SUFFIX = ".manifest.json"
COMMAND: ContextVar[tuple[str, ...]] = ContextVar("COMMAND")  # of the process for which a worker is at work
_PACKAGES = ("openmm_mdgen", "openmm", "torch", "numpy", "mdtraj")


@dataclass
class Manifest:
    """What is known of how outputs were made.

    Parameters
    ----------
    outputs : list of str
        Names of the files, in the manifest's folder.
    command : list of str
        The words of the command line.
    settings : dict
        What decides the content of the outputs, by the names of the command's options.
    seed : int, optional
    inputs : dict of str to str
        SHA-256 of each file that was read, or what stands for it, such as a sequence.
    weights : dict, optional
        Name and checksum of the weights that generated.
    conditions : dict
        Temperature, force field and time between frames, as far as outputs have them.
    machine : dict
        System, processor, device, threads and precision.
    versions : dict of str to str
        Of Python and of the packages that decide the outputs.
    begun, ended : str
        Times of day of the latest attempt; `ended` is empty while it runs, and where it was killed.
    seconds : float
        What all attempts took together, without what was lost.
    is_finished : bool
    warnings : list of str
        What was warned of.
    about : dict
        What else there is to say of the outputs, such as numbers of frames.
    run : str
        What tells a run from all others; empty where a command makes its outputs at once.
    """

    outputs: list[str]
    command: list[str] = field(default_factory=lambda: command_line())
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    weights: dict[str, str] | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=lambda: this_machine())
    versions: dict[str, str] = field(default_factory=lambda: versions())
    begun: str = field(default_factory=lambda: now())
    ended: str = ""
    seconds: float = 0.0
    is_finished: bool = False
    warnings: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    run: str = ""

    def write(self, path: Path) -> None:
        """Write to a file, which appears whole."""
        write_json(path, {"format": FORMAT, **asdict(self)})

    @classmethod
    def read(cls, path: Path) -> Manifest | None:
        """Read a file; None where there is none, or it is something else."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            return None
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def differences(self, asked: dict[str, Any]) -> list[str]:
        """How these settings differ from others, a phrase for each, such as ``"seed 1, asked for 2"``."""
        names = [name for name in {**self.settings, **asked} if self.settings.get(name) != asked.get(name)]
        return [f"{name} {_shown(self.settings.get(name))}, asked for {_shown(asked.get(name))}" for name in names]


def beside(output: Path) -> Path:
    """The manifest of a file."""
    return output.with_name(output.stem + _SUFFIX)


def find(output: Path) -> tuple[Path, Manifest] | None:
    """The manifest that names a file among its outputs, or the one in a folder."""
    if output.is_dir():
        inside = Manifest.read(output / OF_FOLDER)
        return None if inside is None else (output / OF_FOLDER, inside)
    for path in sorted({*output.parent.glob(f"*{_SUFFIX}"), output.parent / OF_FOLDER}):
        found = Manifest.read(path)
        if found is not None and output.name in found.outputs:
            return path, found
    return None


@contextmanager
def noting_warnings(noted: list[str]) -> Iterator[None]:
    """Add to a list what is warned of in this block, each once; it is told as before."""
    tell = warnings.showwarning

    def note(message: Warning | str, *place: Any, **options: Any) -> None:
        if str(message) not in noted:
            noted.append(str(message))
        tell(message, *place, **options)

    warnings.showwarning = note
    try:
        yield
    finally:
        warnings.showwarning = tell


def command_line() -> list[str]:
    """The words that started this process, or the work that it does for another one."""
    if words := COMMAND.get(()):
        return list(words)
    return [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else []


def is_on_worker() -> bool:
    """Whether this is the work of another process, which shows how far it has come."""
    return bool(COMMAND.get(()))


def now() -> str:
    """The time of day."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide what comes out; one that is not installed is left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def this_machine() -> dict[str, Any]:
    """System and processor."""
    return {"system": f"{platform.system()} {platform.release()}", "processor": _processor()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _shown(value: Any) -> str:
    return "by default" if value is None else str(value)


def require_none(path: Path) -> None:
    """Raise `MDGenError` if there is a file of that name that is no manifest."""
    if path.exists() and Manifest.read(path) is None:
        raise MDGenError(f"{path} is where the manifest is to be, and holds something else: choose another --out")
