"""Wrong inputs of `MDGenSimulation` and of what it is given."""

from types import SimpleNamespace

import openmm
import pytest
from openmm import app, unit

from openmm_mdgen import (
    Alternate,
    FineGenerator,
    Gate,
    Generate,
    Integrate,
    LandingSettings,
    MaskReporter,
    MDGenSimulation,
    SegmentReporter,
    TrajectoryGenerator,
    WhileAccepted,
)
from openmm_mdgen.errors import CheckpointError, ReportIntervalError, StateError
from openmm_mdgen.md.systems import implicit_system, langevin
from wrong import NAN, require_refused, table

PS, K, NM = unit.picosecond, unit.kelvin, unit.nanometer


@pytest.fixture(scope="module")
def given(peptide):
    generator = TrajectoryGenerator.load()
    made = SimpleNamespace(**vars(peptide), generator=generator, system=implicit_system(peptide.topology))
    made.simulation = simulation(made, seed=1)
    made.simulation.context.setPositions(peptide.positions)
    made.unset = simulation(made, seed=1)
    return made


def simulation(given, **options):
    first = ("topology", "system", "integrator", "platform")
    plain = {"integrator": langevin(), "platform": given.reference, "generator": given.generator}
    asked = {"topology": given.topology, "system": given.system, **plain, **options}
    openmms = [asked.pop(name) for name in first]
    return MDGenSimulation(*openmms, **asked)


def stepped(given, positions, steps=2500):
    given.unset.context.setPositions(positions)
    given.unset.step(steps)


def reported(given):
    given.simulation.reporters.append(app.DCDReporter("x.dcd", 7))
    try:
        given.simulation.step(2500)
    finally:
        given.simulation.reporters.clear()


@table(
    ("no topology", lambda g: simulation(g, topology=None), "topology is NoneType", "PDBFile(name).topology"),
    ("a trajectory for a topology", lambda g: simulation(g, topology=g.trajectory), "Trajectory", "an mdtraj.Topology"),
    ("no system", lambda g: simulation(g, system=None), "system is None", "forcefield.createSystem"),
    ("no file of a system", lambda g: simulation(g, system="absent.xml"), "absent.xml", "no such file"),
    ("no integrator", lambda g: simulation(g, integrator=None), "integrator is None", "LangevinMiddleIntegrator"),
    ("no platform", lambda g: simulation(g, platform="CPU"), "platform is 'CPU'", "Platform.getPlatformByName"),
    (
        "a step of 0",
        lambda g: simulation(g, integrator=openmm.VerletIntegrator(0)),
        "0 ps",
        "use a step",
        ReportIntervalError,
    ),
    (
        "a step that does not fit",
        lambda g: simulation(g, integrator=langevin(step_size=0.003)),
        "0.003",
        "0.0025 or",
        ReportIntervalError,
    ),
    (
        "a variable step",
        lambda g: simulation(g, integrator=openmm.VariableVerletIntegrator(1e-3)),
        "no fixed",
        "LangevinMiddle",
    ),
    (
        "an integrator at NaN",
        lambda g: simulation(g, integrator=openmm.LangevinIntegrator(NAN, 1, 0.004)),
        "nan K",
        "set it",
    ),
    (
        "generator unknown",
        lambda g: simulation(g, generator="absent"),
        "no weights at absent",
        "bundled ones are",
        CheckpointError,
    ),
    ("generator a number", lambda g: simulation(g, generator=5), "generator is a int", "name or file of weights"),
    ("generator a class", lambda g: simulation(g, generator=TrajectoryGenerator), "the class Traj", "name or file"),
    (
        "generator a folder",
        lambda g: simulation(g, generator=g.folder),
        "is a folder",
        "weights.safetensors",
        CheckpointError,
    ),
    (
        "weights of another task",
        lambda g: simulation(g, generator="upsampling_tetrapeptide"),
        "are for upsampling",
        "load others",
        CheckpointError,
    ),
    ("schedule as text", lambda g: simulation(g, schedule="x"), "schedule is 'x'", "Generate() or Integrate()"),
    ("schedule a class", lambda g: simulation(g, schedule=Generate), "schedule is <class", "Generate() or Integrate()"),
    ("gate a class", lambda g: simulation(g, gate=Gate), "gate is <class", "such as Gate()"),
    ("landing as text", lambda g: simulation(g, landing="x"), "landing is 'x'", "LandingSettings(...)"),
    ("landing a class", lambda g: simulation(g, landing=LandingSettings), "the class Landing", "LandingSettings(...)"),
    (
        "upsampling by forward weights",
        lambda g: simulation(g, upsampling="forward_peptide"),
        "are for forward",
        "load others",
        CheckpointError,
    ),
    (
        "upsampling by yes",
        lambda g: simulation(g, upsampling=True),
        "a bool cannot be filled in",
        "TrajectoryGenerator",
    ),
    ("start as text", lambda g: simulation(g, start="x"), "start is 'x'", "Minimised() or AsGiven()"),
    ("chains unknown", lambda g: simulation(g, chains="all"), "chains is 'all'", "give 'each'"),
    ("seed below 0", lambda g: simulation(g, seed=-1), "seed is -1", "from 0 to 2**63"),
    ("seed a fraction", lambda g: simulation(g, seed=1.5), "seed is 1.5", "a whole number"),
    ("no file of a state", lambda g: simulation(g, state="absent.xml"), "absent.xml", "no such file"),
    (
        "no state in a file",
        lambda g: simulation(g, state=g.folder / "a.pdb"),
        "as a state",
        "same platform",
        CheckpointError,
    ),
    (
        "hybrid phases between frames",
        lambda g: simulation(g, schedule=Alternate(15, 10)),
        "integrate=15 ps",
        "use 10 or 20",
        ReportIntervalError,
    ),
    ("no positions", lambda g: g.unset.step(2500), "no positions", "setPositions", StateError),
    ("positions NaN", lambda g: stepped(g, g.positions * NAN), "not finite", "setPositions", StateError),
    ("positions in ångström", lambda g: stepped(g, g.positions * 10), "in ångström", "Divide them by 10"),
    (
        "steps between frames",
        lambda g: g.simulation.step(1),
        "1 steps do not end",
        "take 2500 steps",
        ReportIntervalError,
    ),
    ("steps below 0", lambda g: g.simulation.step(-1), "steps is -1", "2500 for 10 ps"),
    ("steps NaN", lambda g: g.simulation.step(NAN), "steps is nan", "a number of steps"),
    ("a time for steps", lambda g: g.simulation.step(10 * PS), "steps is 10 ps", "2500 for 10 ps"),
    (
        "reports between frames",
        reported,
        "DCDReporter reports next at step",
        "report interval of 2500",
        ReportIntervalError,
    ),
    ("record of no kind", lambda g: SegmentReporter("x.txt", 10), "x.txt", ".csv or .jsonl"),
    ("record every 0", lambda g: SegmentReporter("x.csv", 0), "reportInterval is 0", "at least 1"),
    ("record every half", lambda g: SegmentReporter("x.csv", 2500.5), "reportInterval is 2500.5", "a number of steps"),
    ("record every 10 ps", lambda g: SegmentReporter("x.csv", 10 * PS), "reportInterval is 10 ps", "a number of steps"),
    ("record in no folder", lambda g: SegmentReporter("absent/x.csv", 10), "absent: no such folder", "make it first"),
    ("record to nothing", lambda g: SegmentReporter(None, 10), "file is None", ".csv or .jsonl"),
    ("mask every NaN", lambda g: MaskReporter("x.csv", NAN), "reportInterval is nan", "a number of steps"),
    ("mask in no folder", lambda g: MaskReporter("absent/x.csv", 10), "absent: no such folder", "make it first"),
    ("mask to a folder", lambda g: MaskReporter(g.folder, 10), "is a folder", "name a file"),
    ("mask to go on with", lambda g: MaskReporter("x.csv", 10, append=True), "is not a mask", "leave append out"),
    ("checkpoint missing", lambda g: g.simulation.loadCheckpoint("absent"), "absent", "no such file"),
    ("checkpoint a folder", lambda g: g.simulation.loadCheckpoint(str(g.folder)), "is a folder", "name a file"),
    ("checkpoint None", lambda g: g.simulation.loadCheckpoint(None), "file is None", "name of a file"),
    (
        "checkpoint of something",
        lambda g: g.simulation.loadCheckpoint(str(g.folder / "a.pdb")),
        "as a checkpoint",
        "same System",
        CheckpointError,
    ),
    (
        "state of something",
        lambda g: g.simulation.loadState(str(g.folder / "a.pdb")),
        "as a state",
        "same System",
        CheckpointError,
    ),
    (
        "state of bytes",
        lambda g: g.simulation.loadState(str(g.folder / "a.dcd")),
        "is no state",
        "loadCheckpoint",
        CheckpointError,
    ),
    ("checkpoint to a folder", lambda g: g.simulation.saveCheckpoint(str(g.folder)), "is a folder", "name a file"),
    (
        "alternate for no time",
        lambda g: Alternate(0, 10),
        "integrate is 0",
        "a time above zero, such as 50 * unit.picosecond",
    ),
    ("alternate for NaN", lambda g: Alternate(10, NAN), "generate is nan", "such as 50 * unit.picosecond"),
    ("alternate by words", lambda g: Alternate("10ps", 10), "integrate is '10ps'", "such as 50 * unit.picosecond"),
    ("alternate for kelvins", lambda g: Alternate(10 * K, 10), "kelvin", "no time"),
    ("while accepted for None", lambda g: WhileAccepted(None), "integrate is None", "such as 50 * unit.picosecond"),
    ("gate of half retries", lambda g: Gate(retries=1.5), "retries is 1.5", "a whole number"),
    ("gate of no frames", lambda g: Gate(energy_frames=0), "energy_frames 0", "at least one"),
    ("gate of NaN", lambda g: Gate(bond_tolerance=NAN), "bond_tolerance is nan", "a number above 0"),
    ("gate in nm", lambda g: Gate(largest_jump=2 * NM), "largest_jump is", "a number above 0"),
    ("gate of one contact", lambda g: Gate(contacts=0.2), "contacts is 0.2", "three distances in nm"),
    ("landing of NaN", lambda g: LandingSettings(free_time=NAN), "free_time is nan", "a finite number in picosecond"),
    ("landing in kelvins", lambda g: LandingSettings(targeting_step=1 * K), "targeting_step is 1 K", "in picosecond"),
    ("landing of no stages", lambda g: LandingSettings(targeting_stages=0), "targeting_stages is 0", "at least 1"),
    ("fine by names", lambda g: FineGenerator("x", "y"), "forward is 'x'", "TrajectoryGenerator.load()"),
)
def test_it_is_refused(row, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_refused(row, given)
    assert {path.name for path in tmp_path.iterdir()} <= {"x.dcd"}  # of OpenMM's reporter, made with it


def test_what_can_do_nothing_is_warned_of(given):
    with pytest.warns(UserWarning, match="gate does nothing here: the schedule generates nothing"):
        simulation(given, schedule=Integrate(), gate=Gate())


def test_numbers_of_steps_are_taken_as_openmm_takes_them(given):
    given.simulation.step(0)
    given.simulation.step(0.0)
    assert SegmentReporter("x.csv", 2500.0).describeNextReport(given.simulation)["steps"] == 2500
