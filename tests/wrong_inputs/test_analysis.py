"""Wrong inputs of comparisons and reports."""

from types import SimpleNamespace

import mdtraj
import numpy as np
import pytest
from openmm import unit

from openmm_mdgen.analysis import (
    TorsionSeries,
    TrajectoryFile,
    UndefinedError,
    evaluate,
    torsion_distances,
    torsion_histograms,
    torsions,
)
from openmm_mdgen.analysis.equivalent import equivalent_md_time
from openmm_mdgen.errors import StateError
from openmm_mdgen.report import write_report
from wrong import NAN, require_refused, table

PS, K = unit.picosecond, unit.kelvin


@pytest.fixture(scope="module")
def given(peptide):
    made = SimpleNamespace(**vars(peptide), md=peptide.trajectory)
    made.evaluation = evaluate(made.md, made.md)
    return made


def compared(given, reference=None, **options):
    return evaluate(given.md, given.md if reference is None else reference, **options)


def series(n=300, names=("PHI 0 ALA 1",)):
    return TorsionSeries(names, np.zeros((n, 1), dtype=np.float32), 1.0)


def nan_of(trajectory):
    return mdtraj.Trajectory(trajectory.xyz * NAN, trajectory.topology)


@table(
    ("nothing generated", lambda g: evaluate(None, g.md), "the generated trajectory is None", "TrajectoryFile(path"),
    ("no list of trajectories", lambda g: evaluate([], g.md), "generated trajectory is", "or a list of them"),
    ("a name for a trajectory", lambda g: evaluate("a.dcd", g.md), "is 'a.dcd'", "TrajectoryFile(path, topology)"),
    ("an array for a trajectory", lambda g: evaluate(g.positions, g.md), "a ndarray", "an mdtraj.Trajectory"),
    ("names for trajectories", lambda g: evaluate(["a.dcd"], g.md), "one of the generated", "TrajectoryFile(path"),
    ("no reference", lambda g: compared(g, []), "the reference is", "or a list of them"),
    ("no replicate", lambda g: compared(g, replicate=[]), "the replicate is", "or a list of them"),
    (
        "a structure by name",
        lambda g: compared(g, structure="g.pdb"),
        "the structure is 'g.pdb'",
        "TrajectoryFile(path",
    ),
    ("another molecule", lambda g: compared(g, g.other), "different molecules", "is LYS in the generated"),
    ("positions NaN", lambda g: compared(g, nan_of(g.md)), "not finite", "leave those frames out", StateError),
    ("a lag time NaN", lambda g: compared(g, lagtime=NAN), "lagtime is nan", "or a quantity of time"),
    ("a lag time in kelvins", lambda g: compared(g, lagtime=1 * K), "kelvin", "no time"),
    ("a lag time by words", lambda g: compared(g, lagtime="100ps"), "lagtime is '100ps'", "picoseconds"),
    ("clusters and a half", lambda g: compared(g, n_clusters=100.5), "n_clusters is 100.5", "a whole number"),
    ("one state", lambda g: compared(g, n_states=1), "1 states of 100 clusters", "at least 2 states"),
    ("a seed of none", lambda g: compared(g, seed=None), "seed is None", "from 0 to 2147483647"),
    ("unknown definitions", lambda g: compared(g, definitions="x"), "definitions 'x'", "published or sound"),
    ("seconds NaN", lambda g: compared(g, generated_seconds=NAN), "generated_seconds is nan", "above 0"),
    ("a file of no name", lambda g: TrajectoryFile(None, "a.pdb"), "path is None", "name of a file"),
    ("a topology of no name", lambda g: TrajectoryFile("a.dcd", None), "topology is None", "name of a file"),
    (
        "an interval of 0",
        lambda g: TrajectoryFile("a.dcd", "a.pdb", 0),
        "frame_interval is 0",
        "picoseconds, or a quantity",
    ),
    ("an interval in kelvins", lambda g: TrajectoryFile("a.dcd", "a.pdb", 1 * K), "kelvin", "no time"),
    ("an interval by words", lambda g: TrajectoryFile("a.dcd", "a.pdb", "10ps"), "is '10ps'", "or a quantity of time"),
    ("no file", lambda g: evaluate(TrajectoryFile("absent.dcd", "a.pdb"), g.md), "absent.dcd", "no such file"),
    ("torsions of a name", lambda g: torsions("a.dcd"), "trajectory is 'a.dcd'", "mdtraj.load(file, top=pdb)"),
    ("torsions NaN", lambda g: torsions(nan_of(g.md)), "not finite", "leave those frames out", StateError),
    ("histograms of None", lambda g: torsion_histograms(None), "trajectory is None", "or its pieces"),
    ("histograms of nothing", lambda g: torsion_histograms([]), "without frames", "no distribution"),
    ("distances of two", lambda g: torsion_distances(g.md, g.other), "different molecules", "have the same names"),
    (
        "angles of another shape",
        lambda g: TorsionSeries(("a", "b"), np.zeros((5, 1)), 1.0),
        "(5, 1)",
        "give (frames, 2)",
    ),
    ("every 0th frame", lambda g: series().every(0), "stride 0", "at least one"),
    ("torsions of others", lambda g: series().ordered(["x"]), "different molecules", "have the same names"),
    ("worth of trajectories", lambda g: equivalent_md_time(g.md, g.md), "generated is a Trajectory", "a TorsionSeries"),
    (
        "worth without bootstrap",
        lambda g: equivalent_md_time(series(), series(), n_bootstrap=0),
        "n_bootstrap 0",
        "one",
    ),
    ("worth up to NaN", lambda g: equivalent_md_time(series(), series(), longest=NAN), "longest is nan", "picoseconds"),
    (
        "worth of short MD",
        lambda g: equivalent_md_time(series(9), series(9)),
        "fewer than 200",
        "pieces",
        UndefinedError,
    ),
    ("a report of nothing", lambda g: write_report("x.html", None, g.md, g.md), "evaluation is None", "evaluate(...)"),
    (
        "a report in no folder",
        lambda g: write_report("absent/x.html", g.evaluation, g.md, g.md),
        "absent/x.html",
        "name a file",
    ),
    ("a report to a folder", lambda g: write_report(g.folder, g.evaluation, g.md, g.md), "name a file", "is there"),
)
def test_it_is_refused(row, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    require_refused(row, given)
    assert not list(tmp_path.iterdir())


def test_quantities_and_names_are_taken(given):
    found = evaluate(given.md, given.md, lagtime=0.1 * unit.nanosecond, definitions="sound").settings
    assert found.lagtime == pytest.approx(100) and found.definitions.value == "sound"
    assert TrajectoryFile("a.dcd", "a.pdb", 1 * unit.nanosecond).frame_interval == 1000
