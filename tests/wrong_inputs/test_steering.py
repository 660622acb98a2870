"""Wrong inputs of steering and of explorations."""

from types import SimpleNamespace

import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from openmm_mdgen.analysis import TorsionSeries, UndefinedError
from openmm_mdgen.errors import MissingPackageError, StateError
from openmm_mdgen.exploration import Exploration, Kinetics, Plan, SharedRuns, generated_frames
from openmm_mdgen.md.systems import implicit_system, langevin
from openmm_mdgen.steering import (
    CoordinateSpace,
    TorsionSpace,
    TransitionPath,
    Window,
    free_energy,
    path_force,
    pull,
    require_pymbar,
    sample_windows,
    shoot,
)
from torsion_walks import place
from wrong import NAN, require_refused, table, without

PS, K = unit.picosecond, unit.kelvin


class Runs:
    """In the place of a swarm: nothing is run here."""

    def __init__(self, topology):
        self.topology = topology

    def run(self, *arguments, **options):
        raise AssertionError("real MD was begun")


@pytest.fixture(scope="module")
def given(peptide, tmp_path_factory):
    walk = place("AKLV", {(1, "PSI"): np.linspace(-1, 2, 20)}, interval=1.0)
    space = TorsionSpace.backbone(walk.topology)
    path = TransitionPath.through(space, [walk])

    def simulation(*forces):
        system = implicit_system(peptide.topology)
        for force in forces:
            system.addForce(force)
        return app.Simulation(peptide.topology, system, langevin(seed=1), peptide.reference)

    led = simulation(path_force(path, engine="openmm"))
    led.context.setPositions(peptide.positions)
    return SimpleNamespace(
        **vars(peptide),
        walk=walk,
        space=space,
        path=path,
        led=led,
        plain=simulation(),
        unset=simulation(path_force(path, engine="openmm")),
        runs=Runs(peptide.topology),
        free=tmp_path_factory.mktemp("explorations"),
    )


def pulled(given, **options):
    return pull(given.led, given.path, **{"time": 1.0, "frame_interval": 1.0, **options})


def windows(given, **options):
    frames = options.pop("frames", given.walk.xyz)
    times = {"time": 0.02, "interval": 0.004, "equilibration": 0.0}
    return sample_windows(given.led, given.path, frames, **{"centres": [0, 1], **times, **options})


def window(centre, progress):
    return Window(centre, np.asarray(progress), np.zeros((1, 70, 3)))


def profile(given, found=None, **options):
    found = [window(centre, np.linspace(0, 1, 20)) for centre in (0, 0.5, 1)] if found is None else found
    return free_energy(found, **{"spring": 2000.0, "temperature": 300.0, **options})


def shots(given, **options):
    frames, nowhere = options.pop("frames", given.walk.xyz[:1]), lambda frame: False
    states = options.pop("is_start", nowhere), options.pop("is_end", nowhere)
    return shoot(options.pop("swarm", given.runs), frames, *states, **options)


def pieces(n=2, names=("PHI 0 ALA 1",), interval=1.0):
    rng = np.random.default_rng(0)
    return [TorsionSeries(names, rng.uniform(-3, 3, (200, 1)), interval) for _ in range(n)]


def kinetics(given, found=None, **options):
    return Kinetics.of(pieces() if found is None else found, **{"lagtime": 5.0, **options})


def explored(given, **options):
    return Exploration(options.pop("runs", given.runs), options.pop("folder", given.free / "x"), **options)


@table(
    ("three atoms a torsion", lambda g: TorsionSpace(np.zeros((2, 3), int)), "shape (2, 3)", "of four atoms"),
    ("fractions of atoms", lambda g: TorsionSpace(np.zeros((2, 4))), "float64", "whole numbers from 0"),
    ("no torsion", lambda g: TorsionSpace(np.zeros((0, 4), int)), "no atom numbers", "whole numbers from 0"),
    ("backbone of nothing", lambda g: TorsionSpace.backbone(None), "topology is NoneType", "PDBFile(name).topology"),
    ("states as arrays", lambda g: TorsionSpace.between(g.positions, g.positions), "start is", "an mdtraj.Trajectory"),
    ("a state without frames", lambda g: TorsionSpace.between(g.walk[:0], g.walk), "no frame", "real", StateError),
    ("states of two molecules", lambda g: TorsionSpace.between(g.walk, g.other), "of one molecule", "same topology"),
    ("states alike", lambda g: TorsionSpace.between(g.walk, g.walk), "no torsion tells", "CoordinateSpace"),
    ("a mask for numbers", lambda g: CoordinateSpace(np.ones(70, bool), g.positions), "bool", "whole numbers from 0"),
    ("two atoms", lambda g: CoordinateSpace(np.arange(2), g.positions[:2]), "2 atoms have no shape", "at least three"),
    ("a reference of all", lambda g: CoordinateSpace(np.arange(5), g.positions), "(70, 3) for 5", "frame[atoms]"),
    ("no trajectory", lambda g: TransitionPath.through(g.space, []), "at least three frames", "to the other"),
    ("one for a list", lambda g: TransitionPath.through(g.space, g.walk), "a Trajectory", "such as [trajectory]"),
    ("another molecule", lambda g: TransitionPath.through(g.space, [g.other] * 3), "one molecule", "of the space"),
    ("one node", lambda g: TransitionPath.through(g.space, [g.walk], n_nodes=1), "n_nodes 1", "at least 2"),
    ("a path at rest", lambda g: TransitionPath.through(g.space, [g.walk[[0, 1, 0]]]), "stands still", "different"),
    ("no space", lambda g: TransitionPath.through("x", [g.walk]), "space is 'x'", "a TorsionSpace"),
    ("nodes NaN", lambda g: TransitionPath(g.space, torch.full((3, 6, 2), NAN)), "finite", "TransitionPath.through"),
    ("one frame along", lambda g: g.path.along(g.positions), "shape (70, 3)", "(frames, all atoms"),
    ("NaN along", lambda g: g.path.along(g.positions[None] * NAN), "not finite", "leave those", StateError),
    ("no path", lambda g: path_force(None), "path is None", "TransitionPath.through"),
    ("a centre beyond", lambda g: path_force(g.path, centre=2), "centre is 2", "from 0 to 1"),
    ("a spring NaN", lambda g: path_force(g.path, spring=NAN), "spring is nan", "from 0 on"),
    ("a spring in ps", lambda g: path_force(g.path, spring=1 * PS), "spring is", "from 0 on"),
    ("a wall below 0", lambda g: path_force(g.path, wall=-1), "wall is -1", "from 0 on"),
    ("width 0", lambda g: path_force(g.path, width=0), "width is 0", "above 0"),
    ("engine unknown", lambda g: path_force(g.path, engine="x"), "engine is 'x'", "'openmm-torch'"),
    ("pull nothing", lambda g: pull(None, g.path, time=1), "simulation is None", "openmm.app.Simulation"),
    ("pull without a force", lambda g: pull(g.plain, g.path, time=1), "no force along a path", "system.addForce"),
    ("pull without positions", lambda g: pull(g.unset, g.path, time=1), "positions", "setPositions", StateError),
    ("pull for no time", lambda g: pulled(g, time=0), "time is 0", "above 0 in picoseconds"),
    ("pull for kelvins", lambda g: pulled(g, time=1 * K), "kelvin", "no time"),
    ("pull for half frames", lambda g: pulled(g, frame_interval=0.3), "of 0.3 ps", "take 0.9 or 1.2"),
    ("pull beyond the end", lambda g: pulled(g, end=2), "end is 2", "from 0 to 1"),
    ("no windows", lambda g: windows(g, centres=[]), "centres is", "such as [0, 0.5, 1]"),
    ("a window for a list", lambda g: windows(g, centres=0.5), "centres is 0.5", "such as [0, 0.5, 1]"),
    ("a window NaN", lambda g: windows(g, centres=[NAN]), "is nan", "from 0 to 1"),
    ("windows of no time", lambda g: windows(g, time=-1), "time is -1", "above 0 in picoseconds"),
    ("windows from nowhere", lambda g: windows(g, frames=g.walk.xyz[:0]), "no frame", "of a pull", StateError),
    ("windows settle for NaN", lambda g: windows(g, equilibration=NAN), "equilibration is nan", "from 0 on"),
    ("windows' seed", lambda g: windows(g, seed=-1), "seed is -1", "from 0 to 2**63"),
    ("one window", lambda g: profile(g, [window(0, [0.1, 0.2])]), "1 windows", "at least two"),
    ("a window without samples", lambda g: profile(g, [window(0, [])]), "window at 0", "sample it again"),
    ("a temperature in ps", lambda g: profile(g, temperature=300 * PS), "picosecond", "no temperature"),
    ("no spring", lambda g: profile(g, spring=0), "spring is 0", "above 0"),
    ("no bins", lambda g: profile(g, n_bins=0), "n_bins 0", "at least one"),
    (
        "free energies without pymbar",
        lambda g: without("pymbar", lambda: profile(g)),
        "free energies need pymbar",
        "pip install 'openmm_mdgen[steering]'",
        MissingPackageError,
    ),
    (
        "pymbar asked for",
        lambda g: without("pymbar", require_pymbar),
        "free energies need pymbar",
        "pip install 'openmm_mdgen[steering]'",
        MissingPackageError,
    ),
    ("no swarm", lambda g: shots(g, swarm=None), "swarm is None", "a Swarm"),
    ("no shots", lambda g: shots(g, n_shots=0), "n_shots 0", "at least one"),
    ("a state that is no function", lambda g: shots(g, is_start=5), "is_start is 5", "a function of a frame"),
    ("shots from nowhere", lambda g: shots(g, frames=g.walk.xyz[:0]), "frames is", "at least one frame"),
    ("shots for NaN", lambda g: shots(g, longest=NAN), "longest is nan", "or a quantity of time"),
    ("shots looked at between", lambda g: shots(g, longest=0.5), "0.5 ps are not a whole number", "take 0.4 or 0.6"),
    ("a plan of no runs", lambda g: Plan(runs=0), "runs 0", "at least one"),
    ("a plan of half runs", lambda g: Plan(runs=1.5), "runs is 1.5", "a whole number"),
    ("a plan of short pieces", lambda g: Plan(lagtime=150), "pieces of 200 ps", "at least two lag times"),
    ("a plan that settles for NaN", lambda g: Plan(settling=NAN), "settling is nan", "from 0 on"),
    ("a plan in kelvins", lambda g: Plan(frame_interval=1 * K), "kelvin", "no time"),
    ("a plan between frames", lambda g: Plan(frame_interval=0.3), "not a whole number of frames", "take"),
    ("a plan of one state", lambda g: Plan(n_microstates=1), "n_microstates 1", "at least 2"),
    ("a plan's seed", lambda g: Plan(seed="x"), "seed is 'x'", "from 0 to"),
    ("an exploration without runs", lambda g: explored(g, runs=None), "runs is None", "a Swarm"),
    ("an exploration in a file", lambda g: explored(g, folder=g.folder / "a.pdb"), "a file is in", "choose another"),
    ("an exploration below a file", lambda g: explored(g, folder=g.folder / "a.pdb" / "x"), "a file", "another"),
    ("an exploration of another plan", lambda g: explored(g, plan="x"), "plan is 'x'", "a Plan"),
    ("kinetics of nothing", lambda g: explored(g).kinetics(), "has no pieces yet", "run a round"),
    ("a round of nothing", lambda g: explored(g).round(None), "generated is None", "mdtraj.Trajectory"),
    ("a round of too few", lambda g: explored(g).round(g.walk[:3]), "3 generated frames for 16", "generate more"),
    ("a round of another molecule", lambda g: explored(g).round(g.other), "55 atoms", "from the same topology"),
    ("kinetics of no pieces", lambda g: kinetics(g, []), "pieces is", "at least one piece"),
    ("kinetics of trajectories", lambda g: kinetics(g, [g.walk]), "is a Trajectory", "a TorsionSeries"),
    ("kinetics of two molecules", lambda g: kinetics(g, pieces(1) + pieces(1, ("X",))), "different molecules", "same"),
    ("kinetics of two intervals", lambda g: kinetics(g, pieces(1) + pieces(1, interval=2.0)), "1 and 2 ps", "state it"),
    ("a lag time in kelvins", lambda g: kinetics(g, lagtime=1 * K), "kelvin", "no time"),
    ("a long lag time", lambda g: kinetics(g, lagtime=500), "lag time of 500 ps", "run longer", UndefinedError),
    ("no bootstrap", lambda g: kinetics(g, n_bootstrap=0), "n_bootstrap 0", "at least one"),
    ("kinetics' seed", lambda g: kinetics(g, seed=-1), "seed is -1", "from 0 to 2147483647"),
    ("no client", lambda g: SharedRuns(None, g.topology, g.positions), "client is None", "Client(LocalCluster())"),
    ("frames of no generator", lambda g: generated_frames("x", g.topology, g.positions, 1), "'x'", "loaded weights"),
    ("no generated frames", lambda g: generated_frames(g.runs, g.topology, g.positions, 0), "n_frames 0", "one"),
)
def test_it_is_refused(row, given):
    require_refused(row, given)
    assert not (given.free / "x" / "piece_00000.xtc").exists()


def test_an_observable_is_asked_for_a_finite_number_a_frame(given):
    found = kinetics(given, pieces(4), lagtime=2.0, n_microstates=4, n_bootstrap=3)
    for observable, told in ((None, "a function of a TorsionSeries"), (lambda piece: np.zeros(3), "one finite number")):
        for asked in (found.average, found.population, found.raw):
            with pytest.raises(ValueError, match=told):
                asked(observable)


def test_windows_that_no_free_energy_can_be_made_of_are_told_before_their_md(given):
    with pytest.warns(UserWarning, match="free energies need pymbar: pip install"):
        without("pymbar", lambda: windows(given, time=0.004))


def test_quantities_and_openmm_topologies_are_taken(given):
    assert len(TorsionSpace.backbone(given.topology).quadruples) == len(given.space.quadruples)
    assert Plan(piece=1 * unit.nanosecond, lagtime=40 * PS).piece == 1000
    assert openmm.unit.is_quantity(given.quantity) and len(given.path.along([given.quantity])[0]) == 1


def test_an_exploration_keeps_the_seed_that_was_drawn_for_it(given, tmp_path):
    first = Exploration(given.runs, tmp_path / "a").plan.seed
    assert (
        Exploration(given.runs, tmp_path / "a").plan.seed == first != Exploration(given.runs, tmp_path / "b").plan.seed
    )
    with pytest.raises(ValueError, match="plan.json has another seed"):
        Exploration(given.runs, tmp_path / "a", Plan(seed=first + 1))
