"""Wrong inputs of structures, systems and real MD."""

from pathlib import Path

import pytest
from openmm import app, unit

from openmm_mdgen.errors import MissingPackageError, StateError, UnsupportedTopologyError
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.local_swarm import LocalSwarm
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.planning import planned
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.md.production import simulate
from openmm_mdgen.md.structures import load_structure, write_pdb
from openmm_mdgen.md.swarm import Swarm
from openmm_mdgen.md.systems import implicit_system, langevin, relaxed, relaxed_frames, solvated
from openmm_mdgen.runs.many import connected
from wrong import NAN, require_refused, table, without

PS, K, NM = unit.picosecond, unit.kelvin, unit.nanometer
SHORT = MDProtocol(duration=1.0, equilibration=0.0)


@pytest.fixture(scope="module")
def given(peptide):
    peptide.swarm = Swarm(peptide.topology, peptide.positions, n_places=2, platform="Reference")
    return peptide


def swarm(given, **options):
    return Swarm(given.topology, given.positions, platform="Reference", **options)


def run(given, **options):
    starts = options.pop("starts", given.positions[None])
    return given.swarm.run(starts, **{"n_frames": 1, "frame_interval": 0.004, **options})


def joined(**options):
    with connected(**options):
        raise AssertionError("workers were started")


@table(
    (
        "workers without distributed",
        lambda g: without("distributed", lambda: joined(workers=1)),
        "many runs need distributed",
        "pip install 'openmm_mdgen[workers]'",
        MissingPackageError,
    ),
    ("sequence None", lambda g: build_peptide(None), "sequence is None", "one-letter codes such as"),
    ("sequence number", lambda g: build_peptide(5), "sequence is 5", "one-letter codes such as"),
    ("sequence empty", lambda g: build_peptide(""), "'': a peptide needs at least two residues", "or one and a cap"),
    ("unknown residue", lambda g: build_peptide("AXLV"), "'X' in 'AXLV'", "20 amino acids"),
    ("cap at the wrong end", lambda g: build_peptide("NME-A"), "'NME-A'", "ACE comes first"),
    ("pH NaN", lambda g: build_peptide("AKLV", ph=NAN), "ph is nan", "from 0 to 14"),
    ("pH as text", lambda g: prepare("AKLV", ph="7"), "ph is '7'", "from 0 to 14"),
    ("seed below 0", lambda g: build_peptide("AKLV", seed=-1), "seed is -1", "from 0 to 2**63"),
    ("seed as text", lambda g: prepare("AKLV", seed="x"), "seed is 'x'", "from 0 to 2**63"),
    ("source None", lambda g: prepare(None), "source is None", "a structure file, or a sequence"),
    ("source missing", lambda g: prepare("absent.pdb"), "absent.pdb", "no such file"),
    ("topology missing", lambda g: prepare("absent.prmtop"), "absent.prmtop", "no such file"),
    ("positions too many", lambda g: prepare("AKLV", positions=Path("x")), "--positions", ".prmtop and CHARMM's .psf"),
    ("source to load", lambda g: load_structure(None), "source is None", "a PDB file, or a sequence"),
    ("trajectory to load", lambda g: load_structure("a.dcd"), "'a.dcd' is neither a PDB file", "one-letter codes"),
    (
        "few positions to write",
        lambda g: write_pdb("x.pdb", g.topology, g.positions[:3]),
        "(3, 3) for 70",
        "(atoms, 3)",
    ),
    ("NaN to write", lambda g: write_pdb("x.pdb", g.topology, g.positions * NAN), "not finite", "(atoms, 3) finite"),
    ("no topology", lambda g: implicit_system(None), "topology is NoneType", "PDBFile(name).topology"),
    ("a PDBFile for a topology", lambda g: relaxed(g.folder / "a.pdb", g.positions), "topology is", "mdtraj.Topology"),
    ("few positions to relax", lambda g: relaxed(g.topology, g.positions[:3]), "(3, 3)", "every atom", StateError),
    ("positions in ps", lambda g: relaxed(g.topology, unit.Quantity(g.positions, PS)), "picosecond", "is no length"),
    ("positions None", lambda g: relaxed(g.topology, None), "shape ()", "positions of every atom", StateError),
    ("positions NaN", lambda g: relaxed(g.topology, g.positions * NAN), "not finite", "minimised", StateError),
    ("positions in ångström", lambda g: relaxed(g.topology, g.positions * 10), "in ångström", "Divide them by 10"),
    ("no frame to relax", lambda g: relaxed_frames(g.topology, []), "no frame to minimise", "at least one"),
    ("edge NaN", lambda g: solvated(g.topology, g.positions, edge=NAN), "edge is nan", "nanometers, or a quantity"),
    ("edge in ps", lambda g: solvated(g.topology, g.positions, edge=PS * 3), "picosecond", "is no length"),
    ("edge too short", lambda g: solvated(g.topology, g.positions, edge=1.0), "1 nm is too small", "at least twice"),
    ("cutoff below 0", lambda g: solvated(g.topology, g.positions, cutoff=-1), "cutoff is -1", "above 0"),
    ("cold water", lambda g: solvated(g.topology, g.positions, temperature=0), "temperature is 0", "kelvins"),
    ("few positions in water", lambda g: solvated(g.topology, g.positions[:3]), "(3, 3)", "every atom", StateError),
    ("temperature NaN", lambda g: langevin(temperature=NAN), "temperature is nan", "above 0 in kelvins"),
    ("temperature in ps", lambda g: langevin(temperature=300 * PS), "picosecond", "no temperature"),
    ("temperature as text", lambda g: langevin(temperature="300"), "temperature is '300'", "above 0 in kelvins"),
    ("friction below 0", lambda g: langevin(friction=-1), "friction is -1", "from 0 on in 1/ps"),
    ("friction as a time", lambda g: langevin(friction=1 * PS), "friction given in the unit picosecond", "no rate"),
    ("step 0", lambda g: langevin(step_size=0), "step_size is 0", "above 0 in picoseconds"),
    ("step in kelvin", lambda g: langevin(step_size=1 * K), "kelvin", "no time"),
    ("places 0", lambda g: swarm(g, n_places=0), "n_places 0", "at least one"),
    ("places and a half", lambda g: swarm(g, n_places=1.5), "n_places is 1.5", "a whole number"),
    ("threads 0", lambda g: swarm(g, threads=0), "threads 0", "at least one"),
    ("swarm of a lost platform", lambda g: Swarm(g.topology, g.positions, platform="x"), "'x'", "take Reference"),
    ("processes 0", lambda g: LocalSwarm(g.topology, g.positions, n_processes=0), "n_processes 0", "at least one"),
    ("frames 0", lambda g: run(g, n_frames=0), "n_frames 0", "at least one"),
    ("frames below 0", lambda g: run(g, n_frames=-1), "n_frames -1", "at least one"),
    ("interval NaN", lambda g: run(g, frame_interval=NAN), "frame_interval is nan", "picoseconds, or a quantity"),
    ("interval in kelvin", lambda g: run(g, frame_interval=1 * K), "kelvin", "no time"),
    ("interval between steps", lambda g: run(g, frame_interval=0.003), "0.003 ps are not a whole", "take 0.004 ps"),
    ("no starts", lambda g: run(g, starts=[]), "shape (0,)", "give (runs, 70, 3)"),
    ("NaN to start from", lambda g: run(g, starts=g.positions[None] * NAN), "not finite", "minimised", StateError),
    ("few atoms to relax", lambda g: g.swarm.relaxed(g.positions[None, :3]), "(3, 3)", "every atom", StateError),
    ("solvent unknown", lambda g: MDProtocol(solvent="oil"), "solvent is 'oil'", "take 'implicit' or 'explicit'"),
    ("duration 0", lambda g: MDProtocol(duration=0), "duration is 0", "above 0 in picoseconds"),
    ("duration as text", lambda g: MDProtocol(duration="1ns"), "duration is '1ns'", "or a quantity of time"),
    ("duration of half frames", lambda g: MDProtocol(duration=0.5), "0.5 ps are not a whole number", "take 1 ps"),
    ("heating NaN", lambda g: MDProtocol(heating=NAN), "heating is nan", "from 0 on in picoseconds"),
    ("hydrogens of no mass", lambda g: MDProtocol(hydrogen_mass=0), "hydrogen_mass is 0", "above 0"),
    ("step too long", lambda g: MDProtocol(step_size=0.1), "100 fs is too long", "take at most 4 fs"),
    (
        "frame between steps",
        lambda g: MDProtocol(frame_interval=0.0011),
        "not a whole number of steps",
        "take 0.004 ps",
    ),
    ("a sequence for a list", lambda g: planned("AKLV", replicas=1, seed=0), "sources is 'AKLV'", "['AKLV']"),
    ("replicas 0", lambda g: planned(["AKLV"], replicas=0, seed=0), "replicas 0", "at least one"),
    ("planned twice", lambda g: planned(["AKLV"] * 2, replicas=1, seed=0), "AKLV named more", "ask for replicas"),
    ("a name for a system", lambda g: simulate(["AKLV"], "x", SHORT), "is 'AKLV'", "as planned([...]) makes"),
    ("no protocol", lambda g: simulate([], "x", None), "protocol is None", "give an MDProtocol"),
    ("groups of 0", lambda g: simulate([], "x", SHORT, group_size=0), "group_size 0", "at least one"),
    ("a lost platform", lambda g: simulate([], "x", SHORT, platform="x"), "platform is 'x'", "take Reference"),
    ("nothing but water", lambda g: load_water(g), "HOH", "remove solvent", UnsupportedTopologyError),
)
def test_it_is_refused(row, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_refused(row, given)
    assert not list(tmp_path.iterdir())


def load_water(given):
    topology = app.Topology()
    residue = topology.addResidue("HOH", topology.addChain())
    topology.addAtom("O", app.element.oxygen, residue)
    return implicit_system(topology)


def test_an_mdtraj_topology_and_quantities_are_taken(given, tmp_path):
    topology = given.trajectory.topology
    assert implicit_system(topology).getNumParticles() == 70
    assert relaxed(topology, given.quantity).shape == (70, 3)
    write_pdb(tmp_path / "x.pdb", topology, given.quantity)
    assert app.PDBFile(str(tmp_path / "x.pdb")).topology.getNumAtoms() == 70
    protocol = MDProtocol(
        duration=1 * unit.nanosecond, temperature=300 * K, friction=1 / PS, step_size=2 * unit.femtosecond
    )
    assert (protocol.duration, protocol.temperature, protocol.friction, protocol.step_size) == (1000, 300, 1, 0.002)
