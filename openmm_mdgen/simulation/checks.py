"""What a simulation checks before it begins: options, integrator and System. Lengths in nm, times in ps."""

from __future__ import annotations

import math
from typing import Any

import openmm

from openmm_mdgen.arguments import require, whole
from openmm_mdgen.errors import LandingError, MDGenError, UnsupportedTopologyError
from openmm_mdgen.files import require_file
from openmm_mdgen.protocol import Generator, temperature_range
from openmm_mdgen.simulation.engine import Engine
from openmm_mdgen.simulation.gate import Gate, Judge
from openmm_mdgen.simulation.honoured import Honoured
from openmm_mdgen.simulation.integrators import present_integrator
from openmm_mdgen.simulation.landing_settings import LandingSettings
from openmm_mdgen.simulation.schedule import Schedule, steps_per_frame
from openmm_mdgen.simulation.starts import Minimised, Start
from openmm_mdgen.simulation.warn import warn


def valid_schedule(schedule: Schedule) -> Schedule:
    """The schedule as given; raises `MDGenError` if it is none."""
    if isinstance(schedule, type) or not isinstance(schedule, Schedule):
        raise MDGenError(f"schedule is {schedule!r}: give an object such as Generate() or Integrate()")
    return schedule


def check_openmm(system: object, integrator: object, platform: object) -> None:
    """Check what OpenMM is given, whose own messages are of its inside; a str is the name of a file, as in OpenMM.

    Raises
    ------
    MDGenError
    """
    for name, value, kind, instead in (
        ("system", system, openmm.System, "an openmm.System, such as forcefield.createSystem(topology, ...)"),
        ("integrator", integrator, openmm.Integrator, "an integrator, such as openmm.LangevinMiddleIntegrator(...)"),
    ):
        require(name, value, isinstance(value, kind | str), instead)
        if isinstance(value, str):
            require_file(value)
    is_right = isinstance(platform, openmm.Platform | None)
    require("platform", platform, is_right, "an openmm.Platform, such as Platform.getPlatformByName('CPU')")


def valid_steps(steps: Any) -> Any:
    """A number of steps, from 0 on; finite floats are left to OpenMM, which takes those that are whole."""
    number = steps if isinstance(steps, float) and math.isfinite(steps) else whole(steps)
    if number is None or number < 0:
        raise MDGenError(
            f"steps is {steps!r}: give a number of steps of the integrator, such as 2500 for 10 ps of 4 fs"
        )
    return number


def valid_landing(landing: LandingSettings | None) -> LandingSettings:
    """The settings as given, or the default ones; raises `MDGenError` if they are something else."""
    require("landing", landing, isinstance(landing, LandingSettings | None), "LandingSettings(...)")
    return landing or LandingSettings()


def valid_gate(gate: Judge | None, schedule: Schedule) -> Judge | None:
    """The gate as given, or the default one in a hybrid run; None where frames are handed out as they come.

    Raises
    ------
    MDGenError
        If it is no gate.
    """
    if gate is None:
        return Gate() if getattr(schedule, "needs_gate", True) else None
    if isinstance(gate, type) or not isinstance(gate, Judge):
        raise MDGenError(f"gate is {gate!r}: give an object such as Gate()")
    if not schedule.generates:
        warn("the gate does nothing here: the schedule generates nothing that it could judge")
    return gate


def valid_start(start: Start | None) -> Start:
    """How a start is relaxed, as given, or by minimisation; raises `MDGenError` if it is something else."""
    if isinstance(start, type) or not isinstance(start, Start | None):
        raise MDGenError(f"start is {start!r}: give an object such as Minimised() or AsGiven()")
    return start or Minimised()


def check_engine(engine: Engine, generator: Generator, schedule: Schedule) -> None:
    """Check that integrator, System and schedule fit the generator.

    Raises
    ------
    UnsupportedTopologyError
        If the System is not of the topology's atoms.
    ReportIntervalError
        If a frame is not a whole number of steps, or a phase of the schedule not a whole number of frames.
    MDGenError
        If the integrator has no fixed step size, or the generator's frames have no place in time.
    """
    n_particles, n_atoms = engine.system.getNumParticles(), engine.topology.getNumAtoms()
    if n_particles != n_atoms:
        raise UnsupportedTopologyError(
            f"the System has {n_particles} particles and the topology {n_atoms} atoms: make one from the other"
        )
    integrator = present_integrator(engine.integrator)
    if isinstance(integrator, openmm.VariableVerletIntegrator | openmm.VariableLangevinIntegrator):
        raise MDGenError(
            f"{type(integrator).__name__} has no fixed step size, and generated frames are counted in steps: "
            "use an integrator with one, such as LangevinMiddleIntegrator"
        )
    temperature = engine.temperature()
    if temperature is not None and not (math.isfinite(temperature) and temperature >= 0):
        raise MDGenError(f"the integrator's temperature is {temperature:g} K: set it to that of the generator")
    steps_per_frame(generator.frame_interval, engine.step_size)
    if check := getattr(schedule, "check", None):
        check(generator.frame_interval)


def check_honoured(engine: Engine, generator: Generator, *, is_judged: bool) -> Honoured:
    """Check what generated frames cannot honour, as far as the generator says which atoms it moves.

    Returns
    -------
    Honoured
        To look again each time that frames are generated.

    Raises
    ------
    UnsupportedSystemError
        If frames would be meaningless.
    """
    honoured = Honoured(
        engine.topology,
        engine.system,
        trained_temperature=generator.temperature,
        temperature_range=temperature_range(generator),
        trained_force_field=getattr(generator, "force_field", ""),
        is_judged=is_judged,
    )
    honoured.check_temperature(engine.temperature())
    honoured.check_barostat()
    if moved_atoms := getattr(generator, "moved_atoms", None):
        honoured.check_system(moved_atoms(engine.topology))
    return honoured


def check_hybrid(engine: Engine, generator: Generator) -> None:
    """Check that real MD can go on from generated frames, as far as it shows without positions.

    Raises
    ------
    LandingError
        If an atom of a protein is a virtual site.
    """
    system = engine.system
    # The residues that hold a protein's alpha carbon; the generator itself tells later which atoms it moves.
    protein = {atom.residue.index for atom in engine.topology.atoms() if atom.name == "CA"}
    virtual = [a for a in engine.topology.atoms() if a.residue.index in protein and system.isVirtualSite(a.index)]
    if virtual:
        raise LandingError(
            f"{virtual[0].residue.name} {virtual[0].residue.id} {virtual[0].name} is a virtual site in the protein, "
            "which generated frames do not have: use a force field without them"
        )
    if engine.temperature() is None:
        warn(
            f"{type(present_integrator(engine.integrator)).__name__} holds no temperature: after each generated "
            f"phase velocities are drawn at the generator's {generator.temperature:g} K, and the energy changes. Use "
            "an integrator with a thermostat, such as LangevinMiddleIntegrator"
        )
