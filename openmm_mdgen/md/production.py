"""Reference MD of many systems, each with a folder of its own; runs that were stopped go on, finished ones further.

``OUT/NAME/`` holds ``NAME.pdb`` (the first frame), ``NAME.xtc`` or another format, the end of the run (`ends`) and
``protocol.json``, which is written last: a system that has it is finished. Systems are simulated in *groups*: those of
one group are packed into one OpenMM System. A group in progress keeps its frames in `blocks` under
``OUT/.group-KEY/``: a run that was stopped goes on after the last one that is complete. Times are in picosecond,
lengths in nanometre.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import numpy as np
import openmm
from filelock import FileLock, Timeout
from openmm import app

from openmm_mdgen.arguments import require, valid_count
from openmm_mdgen.errors import BusyError, MDGenError, StateError
from openmm_mdgen.files import PROTOCOL_FILE, make_folder, write_json
from openmm_mdgen.md.batched_gbn2 import can_compile
from openmm_mdgen.md.blocks import Blocks
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.ends import End, end_file, remove_older
from openmm_mdgen.md.engines import Engine, OwnFieldSystem, SolvatedSystem, advance
from openmm_mdgen.md.equilibration import Equilibration
from openmm_mdgen.md.growing import Timing
from openmm_mdgen.md.own_fields import PreparedInOwnField
from openmm_mdgen.md.packed_system import Molecule, PackedSystem
from openmm_mdgen.md.peptides import BuiltPeptide
from openmm_mdgen.md.planning import MDSystem, planned
from openmm_mdgen.md.prepare import NEUTRAL_PH
from openmm_mdgen.md.prepared import Prepared
from openmm_mdgen.md.structures import write_pdb
from openmm_mdgen.md.systems import named_platform, positions_of
from openmm_mdgen.md.trajectory_files import frames_of, in_chunks, without_box, writing

__all__ = ["MDSystem", "grouped", "planned", "simulate"]

_FRAMES_A_BLOCK = 100
_END = "end.npz"  # in the folder of a group: where its last block ended
_STARTS = "starts.json"  # likewise: which starts had to be built anew


def simulate(
    systems: Sequence[MDSystem],
    out: str | Path,
    protocol: MDProtocol,
    *,
    group_size: int = 16,
    platform: str | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] = lambda frames: None,
) -> None:
    """Simulate the systems that are not finished yet, and lengthen those that were finished for a shorter duration.

    Parameters
    ----------
    systems : sequence of MDSystem
    out : path
        Folder of the results; it is made where it does not exist.
    protocol : MDProtocol
    group_size : int
        Number of implicit-solvent systems packed into one OpenMM System; explicit ones run one by one.
    platform : str, optional
        Name of OpenMM's platform, by default the fastest.
    threads : int, optional
        Threads of the CPU platform, by default one for each core.
    progress : callable
        Called with a number of frames, summed over systems, whenever some are done, and with those found on disk.

    Raises
    ------
    MDGenError
        If a finished folder was made by another protocol, a structure cannot be used, another run works here, or a
        version that kept no end made what is to be lengthened. What is finished is kept.
    StateError
        If positions are no longer finite. The blocks before are kept.
    OSError
        If the disk is full. The blocks before are kept.
    """
    out, group_size = Path(out), valid_count("group_size", group_size)
    require("protocol", protocol, isinstance(protocol, MDProtocol), "an MDProtocol")
    for system in systems:
        require("one of the systems", system, isinstance(system, MDSystem), "an MDSystem, as planned([...]) makes them")
    chosen = named_platform(platform).getName()
    threads = (os.cpu_count() or 1) if threads is None else valid_count("threads", threads)
    make_folder(out)
    for group in grouped(systems, out, protocol, group_size=group_size):
        there = [_frames_there(out, system, protocol) for system in group]
        if all(n == protocol.n_frames for n in there):
            progress(len(group) * protocol.n_frames)
            continue
        first = there[0] if there[0] < protocol.n_frames else 0
        _Group(group, out, protocol, chosen, threads, first=first).run(progress)


def grouped(
    systems: Sequence[MDSystem], out: str | Path, protocol: MDProtocol, *, group_size: int = 16
) -> list[Sequence[MDSystem]]:
    """The groups of systems that `simulate` works on one after the other: those of each are simulated together.

    Given one by one, to whatever process, they give the same trajectories. Parameters are those of `simulate`.
    """
    there = {system.name: _frames_there(Path(out), system, protocol) for system in systems}
    begun = {name: n if n < protocol.n_frames else 0 for name, n in there.items()}
    return list(_groups(systems, group_size if protocol.solvent == "implicit" else 1, begun))


def _groups(systems: Sequence[MDSystem], size: int, begun: dict[str, int]) -> Iterator[Sequence[MDSystem]]:
    """Systems that are packed together, which go on from as many frames; those with an own force field stand alone."""
    for (own, _), members in groupby(systems, lambda system: (system.structure.has_own_field, begun[system.name])):
        listed = list(members)
        width = 1 if own else size
        yield from (listed[first : first + width] for first in range(0, len(listed), width))


def _frames_there(out: Path, system: MDSystem, protocol: MDProtocol) -> int:
    """Frames of a system that are finished: none, all, or fewer where it is to be lengthened."""
    path = out / system.name / PROTOCOL_FILE
    if not path.exists():
        return 0
    asked = {**_UNSTATED, **_description(system, protocol)}
    made = {**_UNSTATED, **json.loads(path.read_text())}
    differing = [key for key in asked if made.get(key) != asked[key]]
    if not differing:
        return protocol.n_frames
    is_longer = differing == ["duration"] and made["duration"] < protocol.duration
    if is_longer and end_file(path.parent, made["n_frames"]).exists():
        return made["n_frames"]
    changes = ", ".join(f"{key} {made.get(key)!r}, asked for {asked[key]!r}" for key in differing)
    why = " and holds nothing to go on from, as older versions left none" if is_longer else ""
    raise MDGenError(f"{path.parent} was made with {changes}{why}: choose another folder, or remove that one")


# What folders do not state where it is so: folders of older versions know nothing of it.
_UNSTATED: dict[str, object] = {"ph": NEUTRAL_PH, "heating": 0.0, "format": ".xtc"}


def _description(system: MDSystem, protocol: MDProtocol) -> dict[str, object]:
    source = system.structure
    files = [str(path) for path in (source.positions, *source.parameters) if path is not None]
    own = {"solvent": "own", "force_field": [source.name], "files": files} if source.has_own_field else {}
    stated = {
        "source": source.name,
        "seed": system.seed,
        **asdict(protocol),
        "force_field": list(protocol.force_field),
        "constraints": "HBonds",
        "integrator": "LangevinMiddle",
        "ph": system.ph,
        "format": system.ending,
        **own,
    }
    return {key: value for key, value in stated.items() if key not in _UNSTATED or value != _UNSTATED[key]}


class _Group:
    """Systems that are simulated together, and their place on disk; `first` frames of each are there already."""

    def __init__(
        self, systems: Sequence[MDSystem], out: Path, protocol: MDProtocol, platform: str, threads: int, *, first: int
    ) -> None:
        self.systems, self.out, self.protocol = systems, out, protocol
        self.platform, self.threads, self.first = platform, threads, first
        self.n_new = protocol.n_frames - first
        self.folder = out / f".group-{self._key()}"
        self.seed = int(self._key("format"), 16) % 2**31
        kinds = {system.ending for system in systems}
        self.blocks = Blocks(self.folder, ".xtc" if kinds == {".xtc"} else ".npy", protocol.frame_interval)

    def _key(self, *left_out: str) -> str:
        """A digest of what is simulated and how, but for what is left out of the descriptions."""
        described = [_description(system, self.protocol) for system in self.systems]
        plan: list[object] = [{k: v for k, v in one.items() if k not in left_out} for one in described]
        whole = json.dumps(plan + ([self.first] if self.first else []))
        return hashlib.sha256(whole.encode()).hexdigest()[:12]

    def run(self, progress: Callable[[int], None]) -> None:
        self.folder.mkdir(exist_ok=True)
        with self._only_run():
            n_done = min(len(self.blocks) * _FRAMES_A_BLOCK, self.n_new)
            progress(len(self.systems) * (self.first + n_done))
            starts = self._starts()
            prepared = [self._prepared(system, starts.get(system.name, {})) for system in self.systems]
            if n_done < self.n_new:
                self._produce(prepared, progress)
            self._write_systems([one.topology for one in prepared])
        shutil.rmtree(self.folder)

    def _only_run(self) -> AbstractContextManager[object]:
        """A lock on the folder; the operating system releases it if the process dies."""
        try:
            return FileLock(self.folder / "lock").acquire(timeout=0)
        except Timeout:
            raise BusyError(f"another run works in {self.out}: wait for it, or choose another folder") from None

    def _produce(self, prepared: Sequence[Prepared], progress: Callable[[int], None]) -> None:
        equilibration = Equilibration(self.protocol, self.platform, self.threads, self.seed)
        start = len(self.blocks)
        if start or self.first:
            engine = self._engine(prepared)
            simulation = equilibration.simulation(engine, engine.system)
        if start:
            simulation.context.loadCheckpoint(self.blocks.checkpoint())
        elif self.first:
            end = End.joined([End.load(end_file(self.out / s.name, self.first)) for s in self.systems])
            end.put(engine, simulation.context)
        else:
            prepared, engine, state = equilibration.started(prepared, self._engine)
            built = {s.name: p for s, p in zip(self.systems, prepared, strict=True) if isinstance(p, BuiltPeptide)}
            anew = {name: {"tries": p.tries, "seed": p.seed} for name, p in built.items() if p.tries > 1}
            write_json(self.folder / _STARTS, anew)
            simulation = equilibration.simulation(engine, engine.system)
            simulation.context.setState(state)
        for block in range(start, -(-self.n_new // _FRAMES_A_BLOCK)):
            n_frames = min(_FRAMES_A_BLOCK, self.n_new - block * _FRAMES_A_BLOCK)
            frames = np.stack([self._next_frame(engine, simulation) for _ in range(n_frames)])
            if block * _FRAMES_A_BLOCK + n_frames == self.n_new:
                End.of(simulation.context).save(self.folder / _END)
            before = self.first + block * _FRAMES_A_BLOCK
            self.blocks.write(block, frames, before, simulation.context.createCheckpoint())
            progress(n_frames * len(self.systems))

    def _prepared(self, system: MDSystem, start: dict[str, int]) -> Prepared:
        """A system's structure: the one that its run began with, where that had to be built anew."""
        prepared = system.structure.prepared(ph=system.ph, seed=system.seed)
        return prepared.at_try(start.get("tries", 1)) if isinstance(prepared, BuiltPeptide) else prepared

    def _starts(self) -> dict[str, dict[str, int]]:
        """Which built structure the runs of some systems began with, where it was not the first."""
        if (self.folder / _STARTS).exists():
            return dict(json.loads((self.folder / _STARTS).read_text()))
        if not self.first:
            return {}
        made = {s.name: json.loads((self.out / s.name / PROTOCOL_FILE).read_text()) for s in self.systems}
        return {name: protocol["start"] for name, protocol in made.items() if "start" in protocol}

    def _engine(self, prepared: Sequence[Prepared]) -> Engine:
        molecules = [Molecule(one.topology, np.array(one.positions, dtype=np.float64)) for one in prepared]
        if isinstance(prepared[0], PreparedInOwnField):
            return OwnFieldSystem(prepared[0], self.protocol, seed=self.seed)
        if self.protocol.solvent == "explicit":
            return SolvatedSystem(molecules[0], self.protocol, seed=self.seed)
        batched = self.platform == "CPU" and can_compile()
        return PackedSystem(molecules, hydrogen_mass=self.protocol.hydrogen_mass, batched=batched)

    def _next_frame(self, engine: Engine, simulation: app.Simulation) -> np.ndarray:
        advance(engine, simulation.context, self.protocol.steps_per_frame)
        positions = positions_of(simulation.context)
        if not np.isfinite(positions).all():
            broken = [
                system.name
                for system, atoms in zip(self.systems, engine.slices, strict=True)
                if not np.isfinite(positions[atoms]).all()
            ]
            raise StateError(
                f"positions of {', '.join(broken) or 'the solvent'} are no longer finite; the frames before are kept "
                f"in {self.folder}: use a shorter step, or a better start"
            )
        molecules = [positions[atoms] - positions[atoms].mean(axis=0) for atoms in engine.slices]
        return np.concatenate(molecules).astype(np.float32)

    def _write_systems(self, topologies: Sequence[app.Topology]) -> None:
        """Write the blocks as one trajectory for each system."""
        sizes = [topology.getNumAtoms() for topology in topologies]
        ends = np.cumsum(sizes)
        slices = [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]
        timing = Timing(self.protocol.frame_interval, 1, 1)
        with ExitStack() as stack:
            writers = []
            for system, topology in zip(self.systems, topologies, strict=True):
                path = system.trajectory(self.out)
                path.parent.mkdir(exist_ok=True)
                write = stack.enter_context(writing(path, without_box(topology), timing))
                for frames in in_chunks(frames_of(path, self.first)):
                    write(frames)
                writers.append(write)
            for number, frames in enumerate(self.blocks):
                for write, atoms in zip(writers, slices, strict=True):
                    write(frames[:, atoms])
                if number == 0 and not self.first:
                    self._write_topologies(topologies, [frames[0, atoms] for atoms in slices])
        if (self.folder / _END).exists():  # blocks of older versions come without it
            folders = [self.out / system.name for system in self.systems]
            End.load(self.folder / _END).share_out(folders, slices, self.protocol.n_frames)
        self._describe()

    def _write_topologies(self, topologies: Sequence[app.Topology], frames: Sequence[np.ndarray]) -> None:
        for system, topology, frame in zip(self.systems, topologies, frames, strict=True):
            write_pdb(system.trajectory(self.out).with_suffix(".pdb"), topology, frame.astype(float))

    def _describe(self) -> None:
        """Say how the systems were made; they are finished then."""
        starts = self._starts()
        for system in self.systems:
            description = _description(system, self.protocol) | {
                "n_frames": self.protocol.n_frames,
                "packed_with": [other.name for other in self.systems if other is not system],
                "openmm": openmm.version.version,
                "platform": self.platform,
                "group_seed": self.seed,
                **({"start": starts[system.name]} if system.name in starts else {}),
                **({"lengthened_from": self.first} if self.first else {}),
            }
            write_json(self.out / system.name / PROTOCOL_FILE, description)
            remove_older(self.out / system.name, self.protocol.n_frames)
