"""Wrong inputs of generators and of the protocol."""

from types import SimpleNamespace

import mdtraj
import numpy as np
import pytest
from openmm import unit

from openmm_mdgen import FineGenerator, TrajectoryGenerator
from openmm_mdgen.errors import CheckpointError, StateError, UnsupportedTopologyError
from openmm_mdgen.generators.design import Design
from openmm_mdgen.generators.each_chain import EachChain
from openmm_mdgen.md.designed_peptides import PeptideBuilder
from openmm_mdgen.model.info import ModelInfo
from openmm_mdgen.protocol import GeneratedSegment, as_segment
from wrong import NAN, require_refused, table

PS, K = unit.picosecond, unit.kelvin
load = TrajectoryGenerator.load


@pytest.fixture(scope="module")
def given(peptide):
    tasks = {"forward": "forward_simulation"} | {name: name for name in ("interpolation", "upsampling", "inpainting")}
    made = SimpleNamespace(**vars(peptide), **{name: load(task=task) for name, task in tasks.items()})
    (peptide.folder / "short.safetensors").write_bytes(b"\x10" + bytes(20))
    (peptide.folder / "empty.safetensors").write_bytes(b"")
    return made


def rollout(given, n_frames=1, *, topology=None, positions=None, **options):
    topology = given.topology if topology is None else topology
    return given.forward.rollout(topology, given.positions if positions is None else positions, n_frames, **options)


def path(given, start=None, end=None, **options):
    ends = (given.positions if one is None else one for one in (start, end))
    return given.interpolation.interpolate(given.topology, *ends, **options)


def fine(given, trajectory=None, factor=None, **options):
    trajectory = given.trajectory[:2] if trajectory is None else trajectory
    return given.upsampling.upsample(trajectory, factor, **{"frame_interval": 10.0, **options})


def designs(given, trajectory=None, **options):
    trajectory = given.trajectory if trajectory is None else trajectory
    return given.inpainting.inpaint(trajectory, **{"frame_interval": 2.0, "accept_chance": True, **options})


def info(**options):
    return ModelInfo(**{"name": "x", "n_frames": 5, "frame_interval": 1.0, "temperature": 300.0, **options})


@table(
    ("weights unknown", lambda g: load("absent"), "no weights at absent", "bundled ones are", CheckpointError),
    ("weights a number", lambda g: load(5), "generator is 5", "name or file of weights"),
    ("weights of no name", lambda g: load(""), "generator is ''", "name or file of weights"),
    ("weights in a folder", lambda g: load(g.folder), "is a folder", "name a file of weights", CheckpointError),
    (
        "weights of nothing",
        lambda g: load(g.folder / "empty.safetensors"),
        "cannot be read",
        "make it again",
        CheckpointError,
    ),
    (
        "weights cut short",
        lambda g: load(g.folder / "short.safetensors"),
        "cannot be read",
        "make it again",
        CheckpointError,
    ),
    ("weights of a structure", lambda g: load(g.folder / "a.pdb"), "cannot be read", "fetch or make", CheckpointError),
    ("task unknown", lambda g: load(task="x"), "task 'x' is not one of", "forward_simulation"),
    (
        "task of others",
        lambda g: load("forward_peptide", task="upsampling"),
        "are for forward",
        "load others",
        CheckpointError,
    ),
    ("device unknown", lambda g: load(device="x"), "device 'x' cannot be used", "'cpu' and 'auto'", CheckpointError),
    ("device None", lambda g: load(device=None), "device is None", "'auto', 'cpu'"),
    ("device elsewhere", lambda g: load(device="mps"), "device 'mps'", "'cpu' and 'auto' always can", CheckpointError),
    ("solver unknown", lambda g: load(ode_solver="x"), "ode_solver 'x' is not one of", "midpoint"),
    ("evaluations 0", lambda g: load(evaluations=0), "evaluations 0", "at least one"),
    ("evaluations too few", lambda g: load(evaluations=3), "evaluations 3", "at least 9 evaluations"),
    ("evaluations by words", lambda g: load(evaluations="x"), "evaluations is 'x'", "a whole number"),
    (
        "evaluations of dopri5",
        lambda g: load(ode_solver="dopri5", evaluations=7),
        "own number",
        "leave evaluations out",
    ),
    ("topology for weights", lambda g: load(topology="a.pdb"), "topology is str", "PDBFile(name).topology"),
    ("frames 0", lambda g: rollout(g, 0), "n_frames 0", "at least one"),
    ("frames below 0", lambda g: rollout(g, -1), "n_frames -1", "at least one"),
    ("frames and a half", lambda g: rollout(g, 1.5), "n_frames is 1.5", "a whole number"),
    ("a time for frames", lambda g: rollout(g, 10 * PS), "n_frames is 10 ps", "a whole number"),
    ("a trajectory for a topology", lambda g: rollout(g, topology=g.trajectory), "topology is Traj", "mdtraj.Topology"),
    ("a name for a topology", lambda g: rollout(g, topology="a.pdb"), "topology is str", "PDBFile(name).topology"),
    ("few positions", lambda g: rollout(g, positions=g.positions[:3]), "shape (3, 3)", "every atom", StateError),
    ("many structures", lambda g: rollout(g, positions=g.trajectory.xyz), "(50, 70, 3)", "positions[0]", StateError),
    ("positions NaN", lambda g: rollout(g, positions=g.positions * NAN), "not finite", "minimised", StateError),
    ("positions in ps", lambda g: rollout(g, positions=unit.Quantity(g.positions, PS)), "picosecond", "no length"),
    ("positions by name", lambda g: rollout(g, positions="a.pdb"), "cannot be read as numbers", "(atoms, 3) in nm"),
    ("positions turned", lambda g: rollout(g, positions=g.positions.T), "wrong way round", "(70, 3)", StateError),
    ("seed by words", lambda g: rollout(g, seed="1"), "seed is '1'", "a whole number"),
    ("chains unknown", lambda g: rollout(g, chains="x"), "chains is 'x'", "give 'each'"),
    ("replicas 0", lambda g: g.forward.rollouts(g.topology, g.positions, 1, replicas=0), "replicas 0", "at least one"),
    (
        "replicas too many",
        lambda g: g.forward.rollouts(g.topology, g.positions, 1, replicas=10**9),
        "GiB of memory",
        "fewer replicas",
    ),
    ("memory of none", lambda g: g.forward.memory_of(g.topology, 0), "replicas 0", "at least one"),
    (
        "rollout by others",
        lambda g: g.upsampling.rollout(g.topology, g.positions, 1),
        "for upsampling",
        "load others",
        CheckpointError,
    ),
    ("check of nothing", lambda g: g.forward.check(None), "topology is NoneType", "PDBFile(name).topology"),
    ("atoms of nothing", lambda g: g.forward.moved_atoms(None), "topology is NoneType", "PDBFile(name).topology"),
    ("paths 0", lambda g: path(g, paths=0), "paths 0", "at least one"),
    ("path of NaN", lambda g: path(g, duration=NAN), "duration is nan", "or a quantity of time"),
    ("path by words", lambda g: path(g, duration="1ns"), "duration is '1ns'", "or a quantity of time"),
    ("path of kelvins", lambda g: path(g, duration=1 * K), "kelvin", "no time"),
    ("path of 3 ps", lambda g: path(g, duration=3), "a path of 3 ps", "take 990 ps"),
    ("path from a trajectory", lambda g: path(g, start=g.trajectory), "start has 50 frames", "trajectory[0]"),
    ("path from no file", lambda g: path(g, start="absent.pdb"), "absent.pdb", "no such file"),
    ("path to few atoms", lambda g: path(g, end=g.positions[:3]), "end have shape (3, 3)", "every atom", StateError),
    ("path to another", lambda g: path(g, end=g.other), "ALA-GLY", "of one molecule", UnsupportedTopologyError),
    (
        "path by others",
        lambda g: g.forward.interpolate(g.topology, 0, 0),
        "for forward",
        "load others",
        CheckpointError,
    ),
    ("upsample a name", lambda g: fine(g, "a.dcd"), "trajectory is 'a.dcd'", "mdtraj.load"),
    ("upsample a topology", lambda g: fine(g, g.topology), "trajectory is a Topology", "mdtraj.load"),
    ("upsample one frame", lambda g: fine(g, g.trajectory[0]), "1 frame", "at least two"),
    ("upsample by 7", lambda g: fine(g, factor=7), "upsample by 100", "2, 4, 5, 10, 20, 25, 50, 100"),
    ("upsample by 1", lambda g: fine(g, factor=1), "factor 1", "at least 2"),
    ("upsample by half", lambda g: fine(g, factor=1.5), "factor is 1.5", "a whole number"),
    ("upsample NaN apart", lambda g: fine(g, frame_interval=NAN), "frame_interval is nan", "or a quantity"),
    ("upsample kelvins apart", lambda g: fine(g, frame_interval=1 * K), "kelvin", "no time"),
    ("upsample words apart", lambda g: fine(g, frame_interval="10ps"), "frame_interval is '10ps'", "picoseconds"),
    ("upsample far apart", lambda g: fine(g, frame_interval=None), "a frame each 100 ps", "every n-th frame"),
    ("upsample NaN", lambda g: fine(g, nan_of(g.trajectory[:2])), "not finite", "minimised", StateError),
    ("upsample by others", lambda g: g.forward.upsample(g.trajectory), "for forward", "load others", CheckpointError),
    ("designs 0", lambda g: designs(g, samples=0), "samples 0", "at least one"),
    ("designs of a residue beyond", lambda g: designs(g, designed=[9]), "residue 9", "4 residues, counted from 0"),
    ("designs by words", lambda g: designs(g, designed="1"), "designed is '1'", "such as [1, 2]"),
    ("designs of a number", lambda g: designs(g, designed=1), "designed is 1", "such as [1, 2]"),
    ("designs of all", lambda g: designs(g, designed=range(4)), "all residues are designed", "leave some known"),
    ("designs of others", lambda g: designs(g, designed=[0]), "designed are to be", "design chain 'A', residue LYS 2"),
    ("designs for three frames", lambda g: designs(g, g.trajectory[:3]), "lasts 4 ps", "give a longer one"),
    (
        "designs by chance",
        lambda g: designs(g, accept_chance=False),
        "chance finds",
        "accept_chance=True",
        CheckpointError,
    ),
    ("designs for nothing", lambda g: designs(g, 5), "trajectory is 5", "mdtraj.load"),
    (
        "fine by forward weights",
        lambda g: FineGenerator(g.forward, g.forward),
        "for forward",
        "load others",
        CheckpointError,
    ),
    ("fine of nothing", lambda g: FineGenerator(None, None), "forward is None", "TrajectoryGenerator.load()"),
    ("each chain by a name", lambda g: EachChain("x"), "generator is 'x'", "protocol.Generator"),
    ("each chain by a class", lambda g: EachChain(TrajectoryGenerator), "the class", "protocol.Generator"),
    ("builder of no backbone", lambda g: PeptideBuilder(backbone="x"), "backbone is 'x'", "'torsions' or 'fitted'"),
    ("builder of nothing", lambda g: PeptideBuilder().all_atoms(None), "design is None", "TrajectoryGenerator.inpaint"),
    (
        "builder without motion",
        lambda g: PeptideBuilder().all_atoms(Design("AKLV", (1,), None)),
        "without motion",
        "build_peptide",
    ),
    ("facts of no frames", lambda g: info(n_frames=0), "n_frames 0", "at least one"),
    ("facts of half frames", lambda g: info(n_frames=1.5), "n_frames is 1.5", "a whole number"),
    ("facts of NaN", lambda g: info(frame_interval=NAN), "frame_interval is nan", "a number above 0"),
    ("facts with units", lambda g: info(frame_interval=10 * PS), "frame_interval is", "a number above 0"),
    ("facts of cold", lambda g: info(temperature=-1), "temperature is -1", "a number above 0"),
    ("facts that fall", lambda g: info(temperatures=(400, 300)), "temperatures are (400, 300)", "rising"),
    ("an answer None", lambda g: as_segment(None, 70), "shape ()", "(frames, 70, 3)"),
    ("an answer of few", lambda g: as_segment(np.zeros((3, 4, 3)), 70), "shape (3, 4, 3)", "(frames, 70, 3)"),
    (
        "an answer unsure",
        lambda g: as_segment(GeneratedSegment(np.zeros((3, 2, 3)), np.ones(2)), 2),
        "3 frames",
        "of 2 which",
    ),
)
def test_it_is_refused(row, given):
    require_refused(row, given)


def nan_of(trajectory):
    return mdtraj.Trajectory(trajectory.xyz * NAN, trajectory.topology)


@pytest.mark.parametrize("factor", [2, 10, 100])
def test_upsampling_takes_every_divisor_of_the_weights_factor(given, factor):
    """Which leaves out some of the frames that the weights' own factor gives."""
    every = fine(given, seed=3)
    found = fine(given, factor=factor, seed=3)
    assert found.n_frames == factor + 1
    np.testing.assert_array_equal(found.xyz, every.xyz[:: 100 // factor])
    np.testing.assert_allclose(found.time, every.time[:: 100 // factor])


def test_an_mdtraj_topology_is_taken(given):
    topology = given.trajectory.topology
    given.forward.check(topology)
    assert len(given.forward.moved_atoms(topology)) == len(EachChain(given.forward).moved_atoms(topology)) == 70
    assert given.forward.propagator(topology, given.quantity).atom_indices.size == 70


def test_a_seed_that_is_drawn_is_told(given, caplog):
    """By an attribute, and by the log."""
    with caplog.at_level("INFO", logger="openmm_mdgen"):
        first = rollout(given)
    seed = given.forward.seed
    assert f"seed {seed} was drawn" in caplog.text
    np.testing.assert_array_equal(rollout(given, seed=seed).xyz, first.xyz)
    assert not np.array_equal(rollout(given).xyz, first.xyz) and given.forward.seed != seed
    for generate in (path, designs, fine):
        generate(given)
    assert len({given.interpolation.seed, given.inpainting.seed, given.upsampling.seed, None}) == 4
