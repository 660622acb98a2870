"""Kinetic temperatures of generated frames against the distribution they ought to have.

For each peptide, with bonds to hydrogen constrained and without constraints, frames are generated with the bundled
weights, and `openmm.app.StateDataReporter` writes their temperatures. Multiplied by the degrees of freedom that it
counts and divided by the integrator's temperature, these should follow a chi-squared distribution: the
Kolmogorov-Smirnov test says how well.

    python benchmarks/kinetic_temperature.py --frames 1000
"""

import argparse
import io

import numpy as np
from openmm import app
from scipy.stats import chi2, kstest

from openmm_mdgen import MDGenSimulation, TrajectoryGenerator
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import force_field, langevin

PEPTIDES = ["AKLV", "GPWS", "DEFR", "CHNY"]
STEP_SIZE, TEMPERATURE = 0.002, 350.0  # ps, K


def temperatures(
    sequence: str, constraints: object, generator: TrajectoryGenerator, n_frames: int, seed: int
) -> tuple[np.ndarray, int]:
    """Those that the reporter writes, in K, and its degrees of freedom."""
    topology, positions = build_peptide(sequence)
    system = force_field().createSystem(topology, constraints=constraints)
    simulation = MDGenSimulation(
        topology, system, langevin(temperature=TEMPERATURE, step_size=STEP_SIZE, seed=1), generator=generator, seed=seed
    )
    simulation.context.setPositions(positions)
    frame_steps, table = round(generator.frame_interval / STEP_SIZE), io.StringIO()
    reporter = app.StateDataReporter(table, frame_steps, temperature=True)
    simulation.reporters.append(reporter)
    simulation.step(n_frames * frame_steps)
    rows = [float(line) for line in table.getvalue().splitlines() if not line.startswith("#")]
    return np.array(rows), reporter._dof


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000, help="number of frames of each peptide")
    parser.add_argument("--seed", type=int, default=1, help="seed of all runs")
    options = parser.parse_args()
    generator = TrajectoryGenerator.load()
    print("peptide  constraints  degrees  mean K  expected spread K  spread K  above 600 K  KS p")
    for sequence in PEPTIDES:
        for constraints in (app.HBonds, None):
            found, degrees = temperatures(sequence, constraints, generator, options.frames, options.seed)
            spread, hot = TEMPERATURE * np.sqrt(2 / degrees), np.mean(found > 600)
            p_value = kstest(degrees * found / TEMPERATURE, chi2(degrees).cdf).pvalue
            print(
                f"{sequence:9}{constraints or 'none'!s:13}{degrees:7}{found.mean():8.1f}{spread:19.1f}"
                f"{found.std():10.1f}{hot:13.1%}{p_value:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
