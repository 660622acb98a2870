"""A user's own script: what each entry of the package makes of positions, counts, seeds and times."""

import runpy
from functools import cache
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import Vec3, app, unit

from openmm_mdgen import MDGenSimulation, TrajectoryGenerator
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.exploration.generated import generated_frames
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.swarm import Swarm

AKLV = Path(__file__).parents[1] / "data" / "cases" / "aklv.pdb"


@cache
def molecule():
    """Topology and positions (N, 3) in nm."""
    pdb = app.PDBFile(str(AKLV))
    return pdb.topology, pdb.getPositions(asNumpy=True).value_in_unit(unit.nanometer)


@cache
def generator(task="forward_simulation"):
    return TrajectoryGenerator.load(task=task, device="cpu", evaluations=2, ode_solver="euler")


@cache
def system():
    forces = app.ForceField("amber14-all.xml", "implicit/gbn2.xml")
    return forces.createSystem(molecule()[0], constraints=app.HBonds)


# Each takes a topology and positions in any form, and returns frames (F, n, 3) in nm.


def rollout(topology, positions):
    return generator().rollout(topology, positions, n_frames=5, seed=1).xyz


def stream(topology, positions):
    return next(generator().stream(topology, positions, n_frames=5, seed=1))[0]


def explored(topology, positions):
    return generated_frames(generator(), topology, positions, 5, seed=1).xyz


def path(topology, positions):
    return generator("interpolation").interpolate(topology, positions, positions, seed=1)[0].xyz[:5]


def swarm(topology, positions):
    made = Swarm(topology, positions, n_places=1, platform="Reference", step_size=0.002, seed=1)
    return made.run(list(molecule()[1][None]), n_frames=1, frame_interval=0.002)[0]


def starts(topology, positions):
    made = Swarm(topology, molecule()[1], n_places=1, platform="Reference", step_size=0.002, seed=1)
    given = positions[None] if hasattr(positions, "shape") else [positions]
    return made.run(given, n_frames=1, frame_interval=0.002)[0]


def simulation(topology, positions):
    integrator = openmm.LangevinMiddleIntegrator(350, 1, 0.002)
    platform = openmm.Platform.getPlatformByName("Reference")
    made = MDGenSimulation(topology, system(), integrator, platform, generator=generator(), seed=1)
    made.context.setPositions(positions)
    made.step(5000)
    return made.context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer)[None]


TAKE_ANY = [rollout, stream, explored, path, swarm, starts]  # OpenMM reads what a simulation is given
ENTRIES = [*TAKE_ANY, simulation]


def forms(positions):
    return {
        "as PDBFile has them": [Vec3(*row) for row in positions] * unit.nanometer,
        "quantity in angstrom": 10 * positions * unit.angstrom,
    }


def longest_bond(frames):
    bonds = np.array([(a.index, b.index) for a, b in molecule()[0].bonds()])
    return np.linalg.norm(frames[:, bonds[:, 0]] - frames[:, bonds[:, 1]], axis=-1).max()


@pytest.mark.parametrize("form", forms(molecule()[1]))
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_quantities_of_any_length_are_taken(entry, form):
    topology, positions = molecule()
    frames = entry(topology, forms(positions)[form])
    assert frames.shape[1:] == positions.shape and longest_bond(frames) < 0.2


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda x: 10 * x, "bonds are 1.[0-9]+ nm long, ten times .* so the numbers are in ångström"),
        (lambda x: np.where(np.arange(len(x))[:, None] == 20, np.nan, x), "residue LYS 2, atom .*atom index 20"),
        (lambda x: x + [2.6, 0, 0] * (np.arange(len(x)) > 33)[:, None], "apart: residues are missing .* or .*periodic"),
    ],
    ids=["ångström", "NaN", "torn"],
)
def test_other_positions_are_refused_for_their_true_reason(entry, spoil, says):
    topology, positions = molecule()
    with pytest.raises(MDGenError, match=says):
        entry(topology, spoil(positions))


@pytest.mark.parametrize("entry", TAKE_ANY, ids=lambda entry: entry.__name__)
@pytest.mark.parametrize(
    "spoil",
    [lambda x: x[:-1], lambda x: x.T, lambda x: x.ravel(), lambda x: x * unit.picosecond, lambda x: "aklv.pdb"],
    ids=["an atom too few", "turned", "one row", "times", "text"],
)
def test_what_are_no_positions_of_the_molecule_is_refused(entry, spoil):
    topology, positions = molecule()
    with pytest.raises(MDGenError, match="shape|no length|cannot be read as numbers|aklv.pdb: no such file"):
        entry(topology, spoil(positions))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.__name__)
def test_topologies_of_mdtraj_are_taken(entry):
    topology, positions = molecule()
    np.testing.assert_allclose(entry(mdtraj.Topology.from_openmm(topology), positions), entry(topology, positions))


@pytest.mark.parametrize("count", [0, -1, 2.0, 2.5, np.nan, True, np.True_, "3", None, 3 * unit.picosecond])
def test_counts_are_whole_numbers_above_zero(count):
    topology, positions = molecule()
    calls = {
        "n_frames": lambda: generator().rollout(topology, positions, count),
        "replicas": lambda: generator().rollouts(topology, positions, 5, replicas=count),
        "paths": lambda: generator("interpolation").interpolate(topology, positions, positions, paths=count),
        "n_places": lambda: Swarm(topology, positions, n_places=count),
    }
    for name, call in calls.items():
        with pytest.raises(MDGenError, match=f"^{name} .*(whole number|at least one)"):
            call()


@pytest.mark.parametrize("seed", [-1, True, np.True_, 1.0, 1.5, "a", 2**63])
def test_seeds_that_are_no_whole_numbers_are_refused(seed):
    topology, positions = molecule()
    for call in (
        lambda: generator().rollout(topology, positions, 1, seed=seed),
        lambda: generator("interpolation").interpolate(topology, positions, positions, seed=seed),
        lambda: Swarm(topology, positions, seed=seed),
        lambda: MDGenSimulation(topology, system(), openmm.VerletIntegrator(0.002), generator=generator(), seed=seed),
    ):
        with pytest.raises(MDGenError, match="seed is .*give a whole number from 0"):
            call()


@pytest.mark.parametrize("seed", [np.int32(3), np.uint8(3), np.array(3)])
def test_whole_numbers_of_numpy_are_seeds(seed):
    frames = [generator().rollout(*molecule(), np.int64(2), seed=given).xyz for given in (seed, 3)]
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize("interval", [0, -1, np.nan, np.inf, "10", None, True, 10 * unit.kelvin, 10 * unit.nanometer])
def test_times_that_are_none_are_refused(interval):
    topology, positions = molecule()
    trajectory = mdtraj.Trajectory(np.repeat(positions[None], 3, axis=0), mdtraj.Topology.from_openmm(topology))
    with pytest.raises(MDGenError, match="^frame_interval .*(above 0|no time)"):
        generator().frame_interval = interval
    if interval is not None:
        with pytest.raises(MDGenError, match="^duration .*(above 0|no time)"):
            generator("interpolation").interpolate(topology, positions, positions, duration=interval)
        with pytest.raises(MDGenError, match="^frame_interval .*(above 0|no time)"):
            generator("upsampling").upsample(trajectory, frame_interval=interval)


def test_times_and_temperatures_may_be_quantities():
    topology, positions = molecule()
    other = TrajectoryGenerator.load(device="cpu", evaluations=2, ode_solver="euler")
    other.frame_interval = 0.02 * unit.nanosecond
    assert other.rollout(topology, positions, 2, seed=1).time.tolist() == [20, 40]
    paths = generator("interpolation")
    duration = (paths.info.n_frames - 1) * paths.frame_interval
    (made,) = paths.interpolate(topology, positions, positions, duration=duration / 1000 * unit.nanosecond)
    assert made.time[-1] == pytest.approx(duration)
    made = Swarm(topology, positions, n_places=1, temperature=300 * unit.kelvin, platform="Reference")
    assert made.temperature == 300
    protocol = MDProtocol(duration=1 * unit.nanosecond, step_size=2 * unit.femtosecond, temperature=300 * unit.kelvin)
    assert (protocol.n_frames, protocol.steps_per_frame, protocol.temperature) == (1000, 500, 300)


# Whole scripts

WITH_A_QUANTITY = """
from openmm import app

from openmm_mdgen import TrajectoryGenerator

pdb = app.PDBFile("aklv.pdb")
made = TrajectoryGenerator.load().rollout(pdb.topology, pdb.positions, n_frames=10, seed=7)
"""
IN_ANGSTROM = """
import numpy as np
from openmm import app, unit

from openmm_mdgen import TrajectoryGenerator

pdb = app.PDBFile("aklv.pdb")
topology, X = pdb.topology, pdb.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
generator = TrajectoryGenerator.load()
made = generator.rollout(topology, X * 10 * unit.angstrom, 5, seed=1)
torn = X.copy()
torn[[a.index for a in topology.atoms() if a.residue.index > 1], 0] += 2.6
refused = []
for positions in (X * 10, torn):
    try:
        generator.rollout(topology, positions, 5, seed=1)
    except Exception as error:
        refused.append(error)
topology.setPeriodicBoxVectors(2.6 * np.eye(3) * unit.nanometer)
whole = generator.rollout(topology, torn, 5, seed=1)
"""


def run(script, folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "aklv.pdb").write_bytes(AKLV.read_bytes())
    (folder / "run.py").write_text(script)
    return runpy.run_path("run.py")


def test_a_script_gives_positions_as_pdbfile_has_them(tmp_path, monkeypatch):
    made = run(WITH_A_QUANTITY, tmp_path, monkeypatch)["made"]
    assert made.n_frames == 10 and longest_bond(made.xyz) < 0.2


def test_a_script_gives_angstrom_and_a_torn_molecule(tmp_path, monkeypatch):
    script = run(IN_ANGSTROM, tmp_path, monkeypatch)
    assert longest_bond(script["made"].xyz) < 0.2
    angstrom, torn = script["refused"]
    assert isinstance(angstrom, MDGenError) and "ångström" in str(angstrom)
    assert isinstance(torn, MDGenError) and "split across a periodic box" in str(torn)
    np.testing.assert_allclose(script["whole"].xyz, script["made"].xyz, atol=1e-4)  # float32 of other places
