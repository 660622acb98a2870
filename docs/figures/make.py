"""Draws the figures of docs/concepts.md with the package itself.

    python docs/figures/make.py MD

MD is a folder of real MD of CFEE, such as this command makes:

    openmm-mdgen simulate CFEE --time 1250ps --replicas 8 --seed 101 --out MD

Writes frames.png, hybrid.png and equivalent.png beside this file; a few minutes on one core.
"""

import sys
from collections import Counter
from pathlib import Path

import mdtraj
import numpy as np
from matplotlib.figure import Figure
from openmm import Platform, unit

from openmm_mdgen import Alternate, Gate, MDGenSimulation, TrajectoryGenerator
from openmm_mdgen.analysis import torsions
from openmm_mdgen.analysis.equivalent import OutOfReach, equivalent_within_half, told
from openmm_mdgen.analysis.folders import read_md, replicas
from openmm_mdgen.analysis.sources import measure
from openmm_mdgen.analysis.torsions import TorsionSeries
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system, langevin, relaxed

HERE = Path(__file__).parent
PEPTIDE, WITH_PROLINE, WITH_MD = "CFEE", "PIDV", "CFEE"
REAL, ACCEPTED, REJECTED = "#00798c", "#edae49", "#d1495b"


def main() -> None:
    topology, built = build_peptide(PEPTIDE, seed=1)
    positions = relaxed(topology, built)
    draw_frames(topology, positions)
    draw_hybrid()
    if len(sys.argv) > 1:
        draw_equivalent_time(Path(sys.argv[1]))


def draw_frames(topology, positions) -> None:
    """A torsion over a rollout: frames, segments, and the motion between two frames."""
    generator = TrajectoryGenerator.load(topology=topology)
    segment = (generator.info.n_frames - 1) * generator.frame_interval
    end = 4 * segment
    rollouts = generator.rollouts(topology, positions, round(end / generator.frame_interval), replicas=2, seed=3)
    fine = TrajectoryGenerator.load(task="upsampling").upsample(rollouts[0][:11], seed=3)
    figure = Figure(figsize=(8, 5), layout="constrained")
    above, below = figure.subplots(2, height_ratios=[3, 2])
    for number, (trajectory, colour) in enumerate(zip(rollouts, (REAL, "0.6"), strict=True)):
        above.plot(trajectory.time, psi(trajectory), ".", color=colour, ms=4, label=f"replica {number + 1}")
    for k, border in enumerate(np.arange(0, end, segment)):
        above.axvline(border, color="0.3", lw=0.8, ls="--")
        above.text(border + 15, 285, f"segment {k + 1}", fontsize=8, color="0.3", va="bottom", clip_on=False)
    above.set(xlabel="time (ps)", ylabel="psi of PHE 2 (degrees)", xlim=(0, end), ylim=(-95, 275))
    above.legend(loc="upper right", fontsize=8)
    below.plot(fine.time, psi(fine), "-", color=ACCEPTED, lw=0.8, label="filled in, each 0.1 ps")
    below.plot(rollouts[0].time[:11], psi(rollouts[0][:11]), "o", color=REAL, ms=5, label="frames, each 10 ps")
    below.set(xlabel="time (ps)", ylabel="psi of PHE 2 (degrees)", ylim=(-95, 275))
    below.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8, frameon=False)
    figure.savefig(HERE / "frames.png", dpi=130)


def psi(trajectory: mdtraj.Trajectory) -> np.ndarray:
    """Degrees from -90 to 270, between which the molecule seldom goes over."""
    return (np.degrees(torsions(trajectory)["PSI 0 PHE 2"]) + 90) % 360 - 90


def draw_hybrid() -> None:
    """What was integrated, what was generated, and what the gate rejected."""
    topology, built = build_peptide(WITH_PROLINE, seed=1)
    positions = relaxed(topology, built)
    simulation = MDGenSimulation(
        topology,
        implicit_system(topology),
        langevin(seed=1),
        Platform.getPlatform("CPU"),
        {"Threads": "1"},
        schedule=Alternate(integrate=20 * unit.picosecond, generate=80 * unit.picosecond),
        gate=Gate(retries=1),
        seed=7,
    )
    simulation.context.setPositions(positions)
    simulation.context.setVelocitiesToTemperature(350, 1)
    simulation.step(5 * 25_000)  # five times 100 ps
    labels = {REAL: "real MD", ACCEPTED: "generated, accepted", REJECTED: "generated, rejected"}
    tries = Counter(segment.start_step for segment in simulation.segments if not segment.accepted)
    rows = max(tries.values(), default=0)
    figure = Figure(figsize=(8, 1.5 + 0.5 * rows), layout="constrained")
    axes = figure.subplots()
    drawn: Counter[int] = Counter()
    for segment in simulation.segments:
        colour = REAL if segment.kind == "integrated" else ACCEPTED if segment.accepted else REJECTED
        row = 0
        if not segment.accepted:
            drawn[segment.start_step] += 1
            row = drawn[segment.start_step]
        begin, length = segment.start_step / 250, segment.steps / 250
        axes.barh(-row, length, left=begin, color=colour, edgecolor="white", label=labels.pop(colour, None))
        if segment.reason_kind:
            axes.text(
                begin + length / 2, -row, segment.reason_kind, ha="center", va="center", fontsize=7, color="white"
            )
    axes.set_yticks([0, *(-k for k in range(1, rows + 1))], ["the run", *(f"draw {k}" for k in range(1, rows + 1))])
    axes.set(
        xlabel=f"time of the simulation of {WITH_PROLINE} (ps)",
        xlim=(0, simulation.currentStep / 250),
        ylim=(-rows - 0.5, 0.5),
    )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8, frameon=False)
    figure.savefig(HERE / "hybrid.png", dpi=130)
    for segment in simulation.segments:
        print(segment)


def draw_equivalent_time(folder: Path) -> None:
    """How far real MD of a length is from long MD, and how far a generated trajectory is."""
    md = [read_md(pdb, file) for pdb, file in replicas(folder)[WITH_MD]]
    topology, built = build_peptide(WITH_MD, seed=1)
    generator = TrajectoryGenerator.load(topology=topology)
    trajectory = generator.rollout(topology, relaxed(topology, built), 2000, seed=3)
    reference = TorsionSeries.joined([measure(run).torsions for run in md])
    found = equivalent_within_half(measure(trajectory).torsions, reference)
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(found.lengths / 1000, found.distances, "o-", color=REAL, ms=4, label="real MD of this length")
    axes.axhline(found.distance, color=ACCEPTED, label=f"generated, {trajectory.time[-1] / 1000:g} ns")
    crossing = found.time.limit if isinstance(found.time, OutOfReach) else found.time
    axes.axvline(crossing / 1000, color="0.5", lw=0.8, ls="--", label=f"equivalent MD time: {told(found.time)}")
    axes.set(xlabel="length (ns)", ylabel="distance to long MD", title=WITH_MD, ylim=(0, None))
    axes.xaxis.set_major_formatter("{x:g}")  # not as powers of ten
    axes.legend(fontsize=8)
    figure.savefig(HERE / "equivalent.png", dpi=130)
    print(found, found.distance)


if __name__ == "__main__":
    main()
