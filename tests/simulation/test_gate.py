"""The gate on a real peptide: faults planted in real frames are rejected, real frames are not."""

import re
from functools import cache

import numpy as np
import openmm
import pytest
from scipy.spatial.distance import cdist

from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system, langevin, relaxed
from openmm_mdgen.simulation.gate import Gate, Judge, Molecule, Trial
from openmm_mdgen.simulation.landing import Lander
from structures import about

N_FRAMES = 70


@cache
def md():
    """A short real MD of a tetrapeptide: molecule, lander, frames (F, n, 3), relaxed energies of ten."""
    topology, positions = build_peptide("AVST", seed=3)
    moved = np.arange(topology.getNumAtoms())
    start = np.asarray(relaxed(topology, positions))
    molecule = Molecule.measure(topology, moved, start)
    system = implicit_system(topology)
    cpu = openmm.Platform.getPlatform("CPU")
    context = openmm.Context(system, langevin(seed=4), cpu, {"Threads": "1"})
    context.setPositions(start)
    heavy = moved[~molecule.is_hydrogen]
    lander = Lander(context, system, moved, heavy, temperature=350.0, step_size=0.004, properties={"Threads": "1"})
    context.setVelocitiesToTemperature(350, 5)
    frames = []
    for _ in range(N_FRAMES):
        context.getIntegrator().step(100)
        frames.append(np.asarray(context.getState(positions=True).getPositions(asNumpy=True)._value))
    frames = np.array(frames)[20:]
    energies = np.array([lander.relaxed(frame)[1] for frame in frames[:40:4]])
    return molecule, lander, frames, energies


def trial(frames):
    molecule, lander, real, energies = md()
    return Trial(molecule, real[0], frames, lambda frame: lander.relaxed(frame)[1], energies)


def atom(name):
    return md()[0].names.index(name)


def test_real_frames_are_accepted():
    assert isinstance(Gate(), Judge)
    frames = md()[2]
    verdict = Gate(energy_frames=5).judge(trial(frames[1:]))
    assert verdict.accepted, verdict.reason
    assert verdict.numbers["relaxed_energy"] < verdict.numbers["energy_limit"]
    assert 0 < verdict.numbers["bond_deviation"] < 0.02 and verdict.numbers["overlap"] == 0
    assert verdict.numbers.keys() >= {"angle_deviation", "peptide_bond_turn", "jump", "relaxed_energy_of_md"}


def moved_by(frame, names, shift):
    frame = frame.copy()
    frame[[atom(name) for name in names]] += shift
    return frame


def clash(frame):
    """The last residue turned into the first, about the bonds of the backbone."""
    names = md()[0].names
    first, last = ([k for k, name in enumerate(names) if name.startswith(label)] for label in ("ALA 1", "THR 4"))
    end = {name for name in names if name.startswith("THR 4")}
    serine = {name for name in names if name.startswith("SER 3")}
    valine = {name for name in names if name.startswith("VAL 2")}
    turns = [
        ("VAL 2 N", "VAL 2 CA", (valine | serine | end) - {"VAL 2 N", "VAL 2 H", "VAL 2 CA"}),
        ("VAL 2 CA", "VAL 2 C", serine | end | {"VAL 2 O"}),
        ("SER 3 N", "SER 3 CA", (serine | end) - {"SER 3 N", "SER 3 H", "SER 3 CA"}),
        ("SER 3 CA", "SER 3 C", end | {"SER 3 O"}),
    ]
    best, nearest, at = frame, np.inf, np.zeros(len(turns))
    random = np.random.default_rng(0)
    for width in [None] * 2000 + [0.3] * 500 + [0.05] * 500:  # anywhere, then about the best so far
        angles = random.uniform(-np.pi, np.pi, 4) if width is None else at + random.normal(0, width, 4)
        turned = frame
        for angle, (tail, head, after) in zip(angles, turns, strict=True):
            axis = turned[atom(head)] - turned[atom(tail)]
            turned = about(turned, turned[atom(head)], axis, angle, [atom(name) for name in after])
        distance = cdist(turned[first], turned[last]).min()
        if distance < nearest:
            best, nearest, at = turned, distance, angles
    assert nearest < 0.1
    return best


def overlap(frame):
    """Two atoms far apart in the chain put on one another, their neighbours with them."""
    names = md()[0].names
    methyl = [n for n in names if n.startswith("VAL 2") and n.split()[-1] in ("CG1", "HG11", "HG12", "HG13")]
    return moved_by(frame, methyl, frame[atom("THR 4 CG2")] - frame[atom("VAL 2 CG1")] + 0.05)


def d_residue(frame):
    """The side chain and alpha hydrogen of valine mirrored in the plane of its backbone."""
    frame = frame.copy()
    n, ca, c = (frame[atom(f"VAL 2 {name}")] for name in ("N", "CA", "C"))
    normal = np.cross(n - ca, c - ca)
    normal /= np.linalg.norm(normal)
    backbone = {"N", "CA", "C", "O", "H"}
    for k, name in enumerate(md()[0].names):
        if name.startswith("VAL 2") and name.split()[-1] not in backbone:
            frame[k] -= 2 * ((frame[k] - ca) @ normal) * normal
    return frame


def turned_peptide_bond(frame):
    """Cis where it was trans."""
    names = md()[0].names
    after = [k for k, name in enumerate(names) if name.startswith(("SER 3", "THR 4")) and name != "SER 3 N"]
    origin, axis = frame[atom("SER 3 N")], frame[atom("SER 3 N")] - frame[atom("VAL 2 C")]
    return about(frame, origin, axis, np.pi, after)


def stretched(frame):
    """The peptide bond before the last residue 0.07 nm too long."""
    direction = frame[atom("THR 4 N")] - frame[atom("SER 3 C")]
    last = [name for name in md()[0].names if name.startswith("THR 4")]
    return moved_by(frame, last, 0.07 * direction / np.linalg.norm(direction))


def not_finite(frame):
    frame = frame.copy()
    frame[3, 1] = np.nan
    return frame


FAULTS = {
    "stretched bond": (stretched, "bond of"),
    "D residue": (d_residue, "handedness"),
    "not finite": (not_finite, "not finite"),
    "far away": (lambda frame: frame + 5.0, "far extrapolation"),
    "peptide bond turned": (turned_peptide_bond, "peptide bond"),
    "swollen": (lambda frame: 1.3 * frame, "bond of"),
    "atoms in one place": (overlap, "."),
    "clash by torsions alone": (clash, "clash"),
}


@pytest.mark.parametrize(("plant", "reason"), FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("where", [0, 3, 7])
def test_a_planted_fault_in_any_frame_is_rejected(plant, reason, where):
    frames = md()[2][40:48].copy()
    frames[where] = plant(frames[where])
    verdict = Gate().judge(trial(frames))
    assert not verdict.accepted
    assert re.search(reason, verdict.reason), verdict.reason
    assert f"frame {where}:" in verdict.reason


def test_an_energy_that_real_md_does_not_reach_is_rejected():
    _, _, frames, energies = md()
    high = Trial(md()[0], frames[0], frames[1:5], lambda frame: energies.mean() + 100.0, energies)
    verdict = Gate().judge(high)
    assert not verdict.accepted and "relaxed energy" in verdict.reason
    lost = Trial(md()[0], frames[0], frames[1:5], lambda frame: np.nan, energies)
    assert not Gate().judge(lost).accepted


def test_mirror_images_of_chemically_equal_hydrogens_are_seen_too():
    frames = md()[2][40:42].copy()
    first, second = atom("SER 3 HB2"), atom("SER 3 HB3")
    frames[1, [first, second]] = frames[1, [second, first]]
    verdict = Gate().judge(trial(frames))
    assert not verdict.accepted and "SER 3 CB has the wrong handedness" in verdict.reason


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (stretched, "bond"),
        (d_residue, "handedness"),
        (not_finite, "not finite"),
        (turned_peptide_bond, "peptide bond"),
        (lambda frame: frame + 5.0, "jumps"),
    ],
)
def test_a_verdict_names_the_kind_of_fault(plant, kind):
    frames = md()[2][40:42].copy()
    frames[1] = plant(frames[1])
    assert Gate().judge(trial(frames)).kind == kind
