"""Generators by name: what a simulation and the commands make of a user's word.

A name is looked for in this order: names with a prefix (`model.checkpoints.PREFIXES`), weights that come with the
package or are published, generators of installed packages, and files. Packages offer theirs by entry points of the
group ``openmm_mdgen.generators``; see `protocol.GeneratorFactory`.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from openmm_mdgen.errors import CheckpointError, MDGenError
from openmm_mdgen.protocol import ENTRY_POINTS, Generator, temperature_range
from openmm_mdgen.temperatures import in_words, nearest

if TYPE_CHECKING:
    from openmm.app import Topology

    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

_MEMBERS = ("frame_interval", "temperature", "check", "propagator")  # of protocol.Generator

# Everything that needs torch is imported where it is used: a simulation that never generates does without it.


def loaded(
    generator: Generator | str | Path | None,
    upsampling: TrajectoryGenerator | str | Path | None = None,
    *,
    device: str = "auto",
    ode_solver: str | None = None,
    evaluations: int | None = None,
    chains: str | None = None,
    topology: Topology | None = None,
) -> Generator:
    """A generator as an object.

    Parameters
    ----------
    generator : Generator or str or Path, optional
        An object, which is returned as it is; a name, see `named`; or a file of weights. Default: the bundled weights.
    upsampling : TrajectoryGenerator or str or Path, optional
        Weights that fill in the generator's frames.
    device, ode_solver, evaluations
        As in `named`, for what is given by its name; an object has its own.
    chains : {"each"}, optional
        ``"each"`` generates every protein chain of a topology by itself; see `generators.each_chain`. Default: the
        generator decides, and MDGen's weights take one chain.
    topology : openmm.app.Topology, optional
        The molecule that bundled weights are chosen for, where no generator is given.

    Raises
    ------
    CheckpointError
        If there is no such generator, or it cannot be loaded.
    MDGenError
        If `generator` is an object of another kind, or has these options already, or its frames cannot be filled in.
    """
    if generator is None or isinstance(generator, str | Path):
        generator = named(
            generator, topology=topology, device=device, ode_solver=ode_solver, evaluations=evaluations
        )  # fmt: skip
    elif isinstance(generator, type) or (upsampling is None and not isinstance(generator, Generator)):
        kind = f"the class {generator.__name__}" if isinstance(generator, type) else f"a {type(generator).__name__}"
        raise MDGenError(
            f"generator is {kind}: give the name or file of weights, or an object with the "
            "members of openmm_mdgen.protocol.Generator"
        )
    else:
        used = device == "auto" or isinstance(upsampling, str | Path)  # which are loaded onto it
        _refuse_options(device=None if used else device, ode_solver=ode_solver, evaluations=evaluations)
    if upsampling is not None:
        generator = _filled_in(generator, upsampling, device)
    if chains is None:
        return generator

    from openmm_mdgen.generators.each_chain import of_chains

    return of_chains(generator, chains)


def set_temperature(generator: Generator, kelvin: float | None) -> None:
    """Ask a generator for a temperature; None leaves its own.

    Raises
    ------
    MDGenError
        If it does not know that temperature.
    """
    if kelvin is None or kelvin == generator.temperature:
        return
    low, high = known = temperature_range(generator)
    if not low <= kelvin <= high:
        raise MDGenError(
            f"temperature {kelvin:g} K: generator {getattr(generator, 'name', '') or type(generator).__name__!r} was "
            f"trained at {in_words(known)}, and says nothing of other temperatures; ask for what it knows, the nearest "
            f"being {nearest(kelvin, known):g}, or use another"
        )
    generator.temperature = kelvin


def _refuse_options(**options: object) -> None:
    """Refuse options that a generator which has been loaded does not hear."""
    stated = [name for name, value in options.items() if value is not None]
    if stated:
        raise MDGenError(
            f"{' and '.join(stated)}: the generator is an object, which was loaded with its own; give it there, as in "
            f"TrajectoryGenerator.load(..., {stated[0]}=...)"
        )


def _filled_in(generator: object, upsampling: TrajectoryGenerator | str | Path, device: str) -> Generator:
    from openmm_mdgen.generators.fine import FineGenerator
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

    if isinstance(upsampling, str | Path):
        upsampling = TrajectoryGenerator.load(upsampling, task="upsampling", device=device)
    return FineGenerator(_fillable(generator), _fillable(upsampling))


def _fillable(generator: object) -> TrajectoryGenerator:
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator

    if not isinstance(generator, TrajectoryGenerator):
        raise MDGenError(f"frames of a {type(generator).__name__} cannot be filled in: use a TrajectoryGenerator")
    return generator


def named(
    name: str | Path | None,
    *,
    topology: Topology | None = None,
    device: str = "auto",
    ode_solver: str | None = None,
    evaluations: int | None = None,
) -> Generator:
    """Load the generator that a name stands for.

    Parameters
    ----------
    name : str or Path, optional
        Name of bundled or published weights or of an installed package's generator, a file of weights, or a name with a
        prefix that is known. A `Path` is always a file. Default: the bundled weights of forward simulation.
    topology : openmm.app.Topology, optional
        The molecule that bundled weights are chosen for, where `name` is left out.
    device : str
        ``"auto"`` takes a GPU if there is one; else a torch device such as ``"cpu"``.
    ode_solver : str, optional
        Solver of the flow, for weights; see `TrajectoryGenerator.load`.
    evaluations : int, optional
        Evaluations of the network for each segment, for weights.

    Raises
    ------
    CheckpointError
        If nothing of that name is there, more than one is, or it cannot be loaded.
    MDGenError
        If a generator of another package is asked for what only weights have.
    """
    from openmm_mdgen.generators.trajectory import TrajectoryGenerator
    from openmm_mdgen.model import checkpoints

    offers = _offers(name) if isinstance(name, str) and not name.startswith(tuple(checkpoints.PREFIXES)) else []
    if not offers:
        try:
            return TrajectoryGenerator.load(
                name, topology=topology, device=device, ode_solver=ode_solver, evaluations=evaluations
            )
        except checkpoints.NoSuchWeightsError as error:
            raise CheckpointError(f"{error}; installed packages offer {_told(_installed())}") from error
    others = list(checkpoints.places(str(name)))
    if len(offers) + len(others) > 1:
        raise CheckpointError(
            f"{name!r} is the name of {' and of '.join([*others, *map(_origin, offers)])}: write ./{name} for a file, "
            "and of packages that offer one name uninstall all but one"
        )
    stated = {"ode_solver": ode_solver, "evaluations": evaluations}
    unknown = [option for option, value in stated.items() if value is not None]
    if unknown:
        raise MDGenError(
            f"{_origin(offers[0])} has no option {' and no option '.join(unknown)}: leave it out; only MDGen's weights "
            "have a flow to be solved"
        )
    return _made(offers[0], device)


def _installed() -> list[EntryPoint]:
    return sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, _package(entry)))


def _offers(name: str) -> list[EntryPoint]:
    return [entry for entry in _installed() if entry.name == name]


def _made(entry: EntryPoint, device: str) -> Generator:
    """Call what an entry point names; whatever goes wrong is told with the package's name."""
    try:
        factory = entry.load()
    except Exception as error:  # another package's import may fail in any way
        raise CheckpointError(
            f"{_origin(entry)} cannot be imported ({type(error).__name__}: {error}): repair or uninstall that package"
        ) from error
    try:
        made = factory(device=device)
    except MDGenError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"{_origin(entry)} cannot be made ({type(error).__name__}: {error}): its entry point must be a callable "
            "that takes the keyword 'device' and returns a generator"
        ) from error
    lacking = [member for member in _MEMBERS if not hasattr(made, member)]
    if lacking:
        raise CheckpointError(
            f"{_origin(entry)} is no generator: what its entry point returns, a {type(made).__name__}, lacks "
            f"{', '.join(lacking)} of openmm_mdgen.protocol.Generator"
        )
    return made


def _origin(entry: EntryPoint) -> str:
    return f"generator {entry.name!r} of package {_package(entry)!r} ({entry.value})"


def _package(entry: EntryPoint) -> str:
    return "unknown" if entry.dist is None else entry.dist.name


def _told(installed: list[EntryPoint]) -> str:
    return ", ".join(entry.name for entry in installed) or "none"
