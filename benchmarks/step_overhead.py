"""What a generated frame costs besides the network and the placing of atoms: everything else in `MDGenSimulation.step`.

A generator that costs next to nothing, copies of the start with a little noise, takes the network's place; its own time
is subtracted. Systems: alanine tetrapeptide with GBn2; the same bare of all forces, in which the package's own share is
easy to see; and a bare box of rigid water of some 20,000 atoms. Each frame is reported once, with positions, to a
reporter that does nothing. What OpenMM itself takes for a frame (positions, time, velocities, one State) is measured
beside it in the same process. Processor time is measured, which a busy machine disturbs less than wall time.

Two versions of the package are compared by two interpreters that take turns:

    python benchmarks/step_overhead.py --against /path/to/other/bin/python --rounds 5
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import openmm
from openmm import app, unit

STEP_SIZE, FRAME_STEPS, SEGMENT = 0.002, 5, 50  # ps; steps of a frame; frames of a segment
FRAMES = {"tetrapeptide": 1000, "bare": 3000, "water": 100}  # timed in each round
PLATFORM = ("CPU", {"Threads": "1"})


class Noise:
    """Generator and propagator in one: the positions it is given, and noise."""

    frame_interval, temperature = FRAME_STEPS * STEP_SIZE, 350.0

    def __init__(self, n_atoms: int) -> None:
        self.atom_indices, self.seconds = np.arange(n_atoms), 0.0
        self.start = np.zeros((n_atoms, 3))

    def check(self, topology: app.Topology) -> None: ...

    def propagator(self, topology: app.Topology, positions: np.ndarray) -> "Noise":
        self.start = positions
        return self

    def segment(self, positions: np.ndarray, seed: int) -> np.ndarray:
        begin = time.process_time()
        noise = np.random.default_rng(seed).normal(scale=1e-4, size=(SEGMENT, *positions.shape))
        noise += self.start
        self.seconds += time.process_time() - begin
        return noise

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, state: dict[str, np.ndarray]) -> None: ...


class Reporter:
    """Asks for each frame's positions and leaves them."""

    def describeNextReport(self, simulation: app.Simulation) -> dict:
        return {"steps": FRAME_STEPS - simulation.currentStep % FRAME_STEPS, "periodic": None, "include": ["positions"]}

    def report(self, simulation: app.Simulation, state: openmm.State) -> None: ...


def prepare(folder: Path) -> None:
    """Write both systems, so that both versions measure the same ones."""
    from openmm_mdgen.md.peptides import build_peptide
    from openmm_mdgen.md.systems import implicit_system

    topology, positions = build_peptide("AAAA")
    system = implicit_system(topology)
    write(folder / "tetrapeptide", topology, system, positions)
    write(folder / "bare", topology, bare(system), positions)
    water = app.ForceField("amber14/tip3pfb.xml")
    box = app.Modeller(app.Topology(), [] * unit.nanometer)
    box.addSolvent(water, boxSize=openmm.Vec3(5.9, 5.9, 5.9) * unit.nanometer)
    write(folder / "water", box.topology, bare(water.createSystem(box.topology)), box.positions)


def bare(system: openmm.System) -> openmm.System:
    for k in reversed(range(system.getNumForces())):
        system.removeForce(k)
    return system


def write(path: Path, topology: app.Topology, system: openmm.System, positions: unit.Quantity) -> None:
    path.with_suffix(".xml").write_text(openmm.XmlSerializer.serialize(system))
    with open(path.with_suffix(".pdb"), "w") as file:
        app.PDBFile.writeFile(topology, positions, file)


def measure(path: Path) -> dict[str, float]:
    """Milliseconds of processor time a frame: ours, and OpenMM's own part of it."""
    from openmm_mdgen import MDGenSimulation

    pdb = app.PDBFile(str(path.with_suffix(".pdb")))
    system = openmm.XmlSerializer.deserialize(path.with_suffix(".xml").read_text())
    generator, n_frames = Noise(system.getNumParticles()), FRAMES[path.stem]
    simulation = MDGenSimulation(
        pdb.topology,
        system,
        openmm.LangevinMiddleIntegrator(350, 1, STEP_SIZE),
        openmm.Platform.getPlatform(PLATFORM[0]),
        PLATFORM[1],
        generator=generator,
        seed=1,
    )
    simulation.context.setPositions(pdb.positions)
    simulation.reporters.append(Reporter())
    simulation.step(FRAME_STEPS)  # binds the generator
    begin, before = time.process_time(), generator.seconds
    simulation.step(n_frames * FRAME_STEPS)
    ours = time.process_time() - begin - (generator.seconds - before)
    return {"ours": 1e3 * ours / n_frames, "openmm": 1e3 * openmm_alone(simulation.context, generator.start, n_frames)}


def openmm_alone(context: openmm.Context, frame: np.ndarray, n_frames: int) -> float:
    """Seconds for what cannot be left out: a frame and its velocities into the Context, a State for the reporter."""
    begin = time.process_time()
    for k in range(n_frames):
        context.setPositions(frame)
        context.setStepCount(k)
        context.setTime(0.1 * k)
        context.setVelocitiesToTemperature(350, k + 1)
        context.getState(positions=True, parameters=True)
    return (time.process_time() - begin) / n_frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", help="Python interpreter of an environment that has another version")
    parser.add_argument("--rounds", type=int, default=5, help="how often each version is measured")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # measure once, for the process that compares
    options = parser.parse_args()
    if options.folder:
        print(json.dumps({name: measure(options.folder / name) for name in FRAMES}))
        return
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name))
        versions = {"this version": sys.executable} | ({"the other": options.against} if options.against else {})
        found: dict[str, list[dict]] = {version: [] for version in versions}
        for _ in range(options.rounds):
            for version, python in versions.items():
                command = [python, str(Path(__file__).resolve()), "--folder", name]
                environment = dict(os.environ)
                if python == options.against:
                    environment.pop("PYTHONPATH", None)  # which is for this version
                ran = subprocess.run(command, cwd=name, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                found[version].append(json.loads(ran.stdout))
    print("median milliseconds of processor time a frame of", options.rounds, "rounds")
    for system in FRAMES:
        for version, rounds in found.items():
            ours, alone = (median(r[system][part] for r in rounds) for part in ("ours", "openmm"))
            spread = [f"{r[system]['ours']:.3f}" for r in rounds]
            print(f"{system:14}{version:14}{ours:9.3f}   of which OpenMM alone {alone:9.3f}   ({' '.join(spread)})")


if __name__ == "__main__":
    main()
