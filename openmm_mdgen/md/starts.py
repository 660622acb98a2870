"""The minimised start of a run, kept beside its trajectory so that the run can be given again.

On several threads or a GPU forces are rounded differently from call to call, and two minimisations of one structure end
a little apart. So a protein's start is kept at full precision in a file, with a checksum of all that it was made from,
and a run that finds it there goes on from the same bits. Positions are ``(n_atoms, 3)`` in nanometre.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import openmm
from openmm import app

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import read_arrays, replacing
from openmm_mdgen.md.minimisation import Minimised, Minimiser, Watch, is_peptide, minimise, require_sound
from openmm_mdgen.md.prepared import Prepared

_FORMAT = "openmm_mdgen start 2"


@dataclass(frozen=True, eq=False)
class Start:
    """Where a run starts."""

    positions: np.ndarray  # (n_atoms, 3) nm
    notes: tuple[str, ...] = ()  # what a user is told of it, a line each


def start_file(trajectory: Path) -> Path:
    """The file in which the start of the run of a trajectory file is kept."""
    return trajectory.with_suffix(".start.npz")


def make_start(
    prepared: Prepared,
    kept: Path,
    minimiser: Minimiser,
    *,
    threads: int | None = None,
    watching: Callable[[], Watch | None] = lambda: None,
) -> Start:
    """Minimise a structure, or take the start that an equal run has kept.

    Parameters
    ----------
    prepared : Prepared
    kept : Path
        File of the start of a protein; of a peptide nothing is kept, since its start is the same each time.
    minimiser : Minimiser
        For proteins.
    threads : int, optional
        Threads of the CPU for proteins; default: see `minimisation.number_of_threads`.
    watching : callable
        Called when a minimisation begins; gives what is called at each iteration.

    Returns
    -------
    Start

    Raises
    ------
    StateError
        If the minimised structure is no conformation of its molecule.
    MDGenError
        If `kept` is a file of another kind.
    """
    if is_peptide(prepared.topology):
        return Start(prepared.minimised())
    whole = prepared.to_minimise()
    key = _checksum(prepared.topology, whole.system, whole.positions, minimiser)
    found, why_not = _read(kept, key)
    if found is not None:
        return Start(found.positions[whole.atoms], (f"the start kept in {kept} is used again: its {found}",))
    start = minimise(whole.system, whole.positions, minimiser, threads=threads, watch=watching())
    while fault := prepared.fault(start.positions[whole.atoms]):
        prepared = prepared.drawn_anew(fault)
        whole = prepared.to_minimise()
        start = minimise(whole.system, whole.positions, minimiser, threads=threads, watch=watching())
    require_sound(prepared.topology, whole.system, start, whole.atoms)
    _write(kept, key, start)
    enough = "" if start.has_converged else "; bonds and contacts are sound, so it is used"
    told = f"the start is kept in {kept}: {start}{enough}"
    return Start(start.positions[whole.atoms], (*([why_not] if why_not else []), told))


def require_ours(kept: Path) -> None:
    """Raise `MDGenError` if there is a file of that name that holds no start."""
    if kept.exists():
        _arrays(kept)


def _checksum(topology: app.Topology, system: openmm.System, positions: np.ndarray, minimiser: Minimiser) -> str:
    """Of structure, force field and settings."""
    digest = hashlib.sha256(openmm.XmlSerializer.serialize(system).encode())
    digest.update(np.ascontiguousarray(positions, dtype="<f8").tobytes())
    digest.update("\n".join(f"{a.residue.name} {a.residue.id} {a.name}" for a in topology.atoms()).encode())
    digest.update(repr(sorted(asdict(minimiser).items())).encode())
    return digest.hexdigest()


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """What a file of a start holds.

    Raises
    ------
    MDGenError
        If it holds something else.
    """
    with suppress(ValueError):
        arrays = read_arrays(path)
        if str(arrays.get("format", "")) == _FORMAT:
            return arrays
    raise MDGenError(
        f"{path} is where the start of the run is to be kept, and holds something else: move it away, or choose "
        "another --out"
    )


def _read(path: Path, key: str) -> tuple[Minimised | None, str]:
    """The start of that checksum, or why there is none."""
    if not path.exists():
        return None, ""
    arrays = _arrays(path)
    if str(arrays["key"]) != key:
        return None, f"the start in {path} is of another structure or of other settings: it is made anew"
    numbers = {name: arrays[name].item() for name in ("iterations", "energy", "rms_force", "end")}
    return Minimised(arrays["positions"], **numbers), ""


def _write(path: Path, key: str, start: Minimised) -> None:
    with replacing(path) as temporary:
        np.savez(temporary, format=_FORMAT, key=key, **vars(start))
