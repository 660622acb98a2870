"""What of an installation works: each part tried by real work, and told with what is wrong and what mends it.

A part of OpenMM that a driver can crash is tried in a process of its own.
"""

from __future__ import annotations

import inspect
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import require_writable

_PACKAGE = "openmm_mdgen"
_TOLD = ("torch", "openmm", "mdtraj", "numpy")  # packages whose versions are always told
_VARIABLES = ("OMP_NUM_THREADS", "OPENMM_MDGEN_THREADS", "OPENMM_CPU_THREADS")
_OF_OPENMM = ("Reference", "CPU")  # platforms that every OpenMM has
_PATIENCE = 60  # seconds that a platform may take


@dataclass(frozen=True)
class Check:
    """What was found of one part.

    Parameters
    ----------
    group : str
        Heading under which it stands.
    name : str
    works : bool or None
        None if it is not there.
    is_needed : bool
        Whether the package is of no use without it.
    value : str, int or None
        Version, number or place.
    seconds : float or None
        What a real step took.
    reason : str
        Why it does not work, or is not there; and what mends it.
    """

    group: str
    name: str
    works: bool | None
    is_needed: bool = False
    value: str | int | None = None
    seconds: float | None = None
    reason: str = ""


def checks() -> Iterator[Check]:
    """Try each part, and tell what was found as soon as it is known."""
    for part in (_versions, _platforms, _devices, _threads, _compiler, _weights, _cache, _extras):
        yield from part()


def _versions() -> Iterator[Check]:
    """Of the package, Python, the packages that always matter, and needed ones that are missing or too old."""
    from openmm_mdgen import __version__

    yield Check("Versions", "openmm-mdgen", True, True, __version__)
    yield Check("Versions", "Python", True, True, platform.python_version())
    wanted = {name: specifier for extra, name, specifier in _requirements() if extra is None}
    for name in dict.fromkeys((*_TOLD, *wanted)):
        found = _version(name)
        wrong = _wrong(name, wanted.get(name, ""), found)
        if name in _TOLD or wrong:
            yield Check("Versions", name, None if found is None else not wrong, True, found, reason=wrong)
    torch_force = find_spec("openmmtorch") is not None
    reason = "" if torch_force else "not installed; steering uses it where it is there: pip install openmmtorch"
    yield Check("Versions", "openmm-torch", torch_force or None, value=_version("openmmtorch"), reason=reason)


def _requirements() -> Iterator[tuple[str | None, str, str]]:
    """Extra (None: needed by all), name and versions of each package that this one asks for."""
    from packaging.requirements import Requirement

    try:
        asked = metadata.requires(_PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from its folder, and not installed
        return
    requirements = [Requirement(line) for line in asked]
    extras: list[str | None] = list(dict.fromkeys(metadata.metadata(_PACKAGE).get_all("Provides-Extra") or []))
    for extra in [None, *extras]:
        for one in requirements:
            is_general = one.marker is None or one.marker.evaluate({"extra": ""})
            is_of_it = one.marker is not None and not is_general and one.marker.evaluate({"extra": extra or ""})
            if is_general if extra is None else is_of_it:
                yield extra, one.name, str(one.specifier)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _wrong(name: str, wanted: str, found: str | None) -> str:
    """What is wrong with a package of that version, and the line that mends it; nothing if it is right."""
    from packaging.specifiers import SpecifierSet

    if found is None:
        return f"not installed: pip install '{name}{wanted}'"
    if SpecifierSet(wanted).contains(found, prereleases=True):
        return ""
    return f"{wanted} is needed: pip install '{name}{wanted}'"


def step_on(name: str) -> None:
    """One step of two charged particles on a bond; the energy is held to that of Hooke's and Coulomb's law.

    It is run by its text, in a process that imports OpenMM and nothing else.
    """
    import time

    import openmm

    system, bond, charges = openmm.System(), openmm.HarmonicBondForce(), openmm.NonbondedForce()
    for charge in (0.5, -0.5):
        system.addParticle(12.0)
        charges.addParticle(charge, 0.3, 0.0)
    bond.addBond(0, 1, 0.10, 1000.0)
    system.addForce(bond)
    system.addForce(charges)
    began = time.perf_counter()
    integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 0.001)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(name))
    context.setPositions([openmm.Vec3(0, 0, 0), openmm.Vec3(0.12, 0, 0)])
    energy = context.getState(getEnergy=True).getPotentialEnergy()._value
    expected = 0.5 * 1000.0 * 0.02**2 - 138.935458 * 0.25 / 0.12  # kJ/mol
    if not abs(energy - expected) < 0.02:
        raise SystemExit(f"an energy comes out as {energy:g} kJ/mol and has to be {expected:g}")
    integrator.step(1)
    moved = context.getState(getPositions=True).getPositions(asNumpy=True)._value
    if not 0 < abs(moved[1, 0] - 0.12) < 0.01:
        raise SystemExit(f"a particle comes from 0.12 nm to {moved[1, 0]:g} nm in a step of 1 fs")
    print(time.perf_counter() - began)


def platform_names() -> list[str]:
    """OpenMM's platforms on this machine."""
    import openmm

    return [openmm.Platform.getPlatform(index).getName() for index in range(openmm.Platform.getNumPlatforms())]


def _platforms() -> Iterator[Check]:
    for name in dict.fromkeys((*_OF_OPENMM, *platform_names())):
        yield _tried("OpenMM platforms", name, name in _OF_OPENMM, partial(_in_a_process, name))
    for reason, libraries in _not_loaded(plugin_failures()).items():
        told = f"{', '.join(libraries)} cannot be loaded: {reason}; of no matter without such a GPU"
        yield Check("OpenMM platforms", "plugins", None, reason=told)


def plugin_failures() -> list[str]:
    """What OpenMM says of plugins that it could not load."""
    import openmm

    return list(openmm.Platform.getPluginLoadFailures())


def _not_loaded(failures: list[str]) -> dict[str, list[str]]:
    """Files of plugins that were not loaded, by the reason; without those that only need another of these files."""
    found: dict[str, list[str]] = {}
    for failure in failures:
        match = re.fullmatch(r"Error loading library (.+?): (.+)", _one_line(failure))
        library, reason = match.groups() if match else ("a plugin", _one_line(failure))
        found.setdefault(reason, []).append(re.split(r"[/\\]", library)[-1])
    files = {library for libraries in found.values() for library in libraries}
    return {reason: libraries for reason, libraries in found.items() if reason.split(":")[0] not in files}


def _in_a_process(name: str) -> float:
    """Seconds that a step takes on a platform; raises with what its process says at its end."""
    program = f"{inspect.getsource(step_on)}\nstep_on({name!r})"
    # Files of the folder that the command is given in are not taken for packages (from Python 3.11).
    environment = os.environ | {"PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=_PATIENCE, env=environment
    )
    if done.returncode < 0:
        raise RuntimeError(f"its process was ended by {signal.Signals(-done.returncode).name}; is the driver right?")
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(said[-1].removeprefix("openmm.OpenMMException: "))
    return float(done.stdout.split()[-1])


def _tried(group: str, name: str, is_needed: bool, work: Callable[[], float | None]) -> Check:
    """A check that does some work, which tells the seconds or raises."""
    try:
        return Check(group, name, True, is_needed, seconds=work())
    except Exception as error:  # whatever drivers raise
        return Check(group, name, False, is_needed, reason=_one_line(error))


def _one_line(error: object) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _devices() -> Iterator[Check]:
    import torch

    group = "Devices of torch"
    yield _tried(group, "cpu", True, partial(_product, "cpu"))
    with warnings.catch_warnings(record=True) as told:  # torch warns of a driver that is too old, say
        warnings.simplefilter("always")
        number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(number):
        yield _tried(group, f"cuda:{index}", False, partial(_product, f"cuda:{index}"))
    if not number:
        without = (
            "no GPU that torch can use" if torch.version.cuda or torch.version.hip else "torch is built without it"
        )
        yield Check(group, "cuda", None, reason=_one_line(told[0].message) if told else without)
    if torch.backends.mps.is_available():
        yield _tried(group, "mps", False, partial(_product, "mps"))
    else:
        yield Check(group, "mps", None, reason="only on a Mac with a GPU of Apple")


def _product(device: str) -> float:
    """Seconds of a product of two matrices, held to one that is known."""
    import torch

    began = time.perf_counter()
    counted = torch.arange(64, dtype=torch.float32, device=device)
    found = (counted[:, None] @ counted[None, :]).sum().item()
    expected = float(sum(range(64)) ** 2)
    if not math.isclose(found, expected, rel_tol=1e-4):
        raise RuntimeError(f"a product of matrices comes out as {found:g} and has to be {expected:g}")
    return time.perf_counter() - began


def _threads() -> Iterator[Check]:
    from openmm_mdgen import threads

    try:
        yield Check("Threads", "of the network", True, True, threads.allowed())
    except MDGenError as error:
        yield Check("Threads", "of the network", False, True, reason=str(error))
    yield Check("Threads", "cores", True, value=os.cpu_count())
    for variable in _VARIABLES:
        value = os.environ.get(variable)
        yield Check(
            "Threads", variable, None if value is None else True, value=value, reason="" if value else "not set"
        )


def _compiler() -> Iterator[Check]:
    from openmm_mdgen.md.batched_gbn2 import can_compile

    group, name = "Packed MD", "C++ compiler"
    if can_compile():
        names = (os.environ.get("CXX", "g++"), "clang++", "cl")
        yield Check(group, name, True, value=next(filter(None, map(shutil.which, names)), None))
    else:
        reason = "none; on the CPU packed MD is slower: install g++ or clang++, or let CXX name one"
        yield Check(group, name, None, reason=reason)


def _weights() -> Iterator[Check]:
    from openmm_mdgen.model import checkpoints

    names = checkpoints.bundled()
    for name in names:
        yield _tried("Bundled weights", name, True, partial(_seconds, partial(checkpoints.load, name)))
    if not names:
        reason = f"none are there: install the package again, pip install --force-reinstall --no-deps {_PACKAGE}"
        yield Check("Bundled weights", "all", False, True, reason=reason)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _cache() -> Iterator[Check]:
    """The folder where published weights are kept, or the one that it would be made in."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    try:
        require_writable(next(folder for folder in (cache, *cache.absolute().parents) if folder.exists()))
        yield Check("Published weights", "cache", True, value=str(cache))
    except OSError as error:
        reason = f"cannot be written to ({error.strerror}): let HF_HOME name another folder"
        yield Check("Published weights", "cache", False, value=str(cache), reason=reason)


def _extras() -> Iterator[Check]:
    """Extras of the package that a user installs, each with the line that installs what is missing."""
    group = "Extras"
    asked: dict[str, dict[str, str]] = {}
    for extra, name, specifier in _requirements():
        if extra is not None and extra != "test":
            asked.setdefault(extra, {})[name] = specifier
    for extra, wanted in asked.items():
        wrong = [name for name, versions in wanted.items() if _wrong(name, versions, _version(name))]
        line = " ".join(f"'{name}{wanted[name]}'" for name in wrong)
        told = ", ".join(f"{name} {_version(name)}" for name in wanted if name not in wrong)
        yield Check(group, extra, None if wrong else True, value=told or None, reason=line and f"pip install {line}")
    if not asked:
        yield Check(group, "all", None, reason="not known, since the package is not installed: pip install -e .")
