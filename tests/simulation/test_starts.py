"""How a simulation relaxes the structure that it starts from."""

from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from dipeptide import langevin, simulation_of
from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.md.systems import implicit_system
from openmm_mdgen.simulation.drop_in import MDGenSimulation
from openmm_mdgen.simulation.starts import AsGiven, Minimised
from tumbling import TumblingGenerator

PDB = app.PDBFile(str(Path(__file__).parent.parent / "data" / "proteins" / "trp_cage.pdb"))
GIVEN = np.array(PDB.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
SYSTEM = implicit_system(PDB.topology)
CPU = openmm.Platform.getPlatformByName("CPU")


class Bound(TumblingGenerator):
    """Keeps the structure that it is bound to."""

    def propagator(self, topology, positions):
        self.start = positions.copy()
        return super().propagator(topology, positions)


def start_of(start, positions=GIVEN):
    """What the generator is bound to in a simulation of Trp-cage."""
    generator = Bound()
    simulation = MDGenSimulation(
        PDB.topology, SYSTEM, langevin(), CPU, {"Threads": "2"}, generator=generator, start=start, seed=1
    )
    simulation.context.setPositions(positions)
    simulation.step(10)
    return generator.start


def test_a_protein_is_minimised_within_a_limit_and_in_sight(capsys):
    with pytest.warns(UserWarning, match="minimisation stopped at its limit after .* so the start is used") as told:
        found = start_of(Minimised(max_iterations=8))
    assert any(Path(warning.filename) == Path(__file__) for warning in told)  # points at the user's own line
    assert "minimising the start: at most 8 iterations" in capsys.readouterr().err
    assert 0.001 < np.abs(found - GIVEN).max() < 0.1
    lengths = []
    for k in range(SYSTEM.getNumConstraints()):
        i, j, length = SYSTEM.getConstraintParameters(k)
        lengths.append(np.linalg.norm(found[i] - found[j]) - length.value_in_unit(unit.nanometer))
    assert np.abs(lengths).max() < 1e-5  # constraints were springs on the way, and hold at the end


def test_a_start_that_is_given_is_left_as_it_is(capsys):
    np.testing.assert_array_equal(start_of(AsGiven()), GIVEN)
    assert "minimising" not in capsys.readouterr().err


def test_a_peptide_is_minimised_on_one_thread_without_a_word(capsys):
    found = []
    for start in (None, Minimised(500)):
        generator = Bound()
        simulation_of(generator, start=start).step(10)
        found.append(generator.start)
    np.testing.assert_array_equal(*found)
    assert capsys.readouterr().err == ""


def test_a_start_that_is_no_conformation_is_refused():
    broken = GIVEN.copy()
    oxygen = next(a.index for a in PDB.topology.atoms() if a.residue.index == 5 and a.name == "O")
    broken[oxygen] += [0.08, 0.08, 0.0]
    with pytest.raises(StateError, match="the start cannot be used: .* nm off"):
        start_of(Minimised(max_iterations=1), broken)


@pytest.mark.parametrize("start", [Minimised, "as given", 7])
def test_what_is_no_start_is_refused(start):
    with pytest.raises(MDGenError, match="start is"):
        simulation_of(start=start)
    with pytest.raises(MDGenError, match="allow at least one"):
        Minimised(0)
