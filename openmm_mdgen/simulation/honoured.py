"""What of a System and an integrator generated frames cannot honour: refused, or told once.

Generated frames follow the force field, the solvent and the temperature of the generator's training data, and nothing
else. Atoms that are frozen and constraints of a user's own are refused where frames are generated; restraints, biases
and another force field are warned of. Temperatures in kelvin, lengths in nm.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import UnsupportedSystemError
from openmm_mdgen.simulation.bonding import TopologyBonds
from openmm_mdgen.simulation.forces import Bias, biases
from openmm_mdgen.simulation.training_conditions import differences
from openmm_mdgen.simulation.warn import warn
from openmm_mdgen.temperatures import in_words, nearest

_TEMPERATURE_TOLERANCE = 1.0  # K
_TEMPERING = ("openmm.app.simulatedtempering", "openmm.app.expandedensemblesampler")  # modules of their reporters
_REAL_MD = "Real MD, schedule=Integrate(),"


class Honoured:
    """Looks at a simulation when it is made and each time that it generates.

    Parameters
    ----------
    topology : openmm.app.Topology
    system : openmm.System
    trained_temperature : float, K
        Temperature of the generator's training data.
    trained_force_field : str
        Force field and solvent of the training data; empty where they are not known.
    temperature_range : (float, float), K, optional
        Lowest and highest temperature that the generator takes. Default: `trained_temperature` alone.
    is_judged : bool
        Whether a gate judges generated segments, as in hybrid runs.
    """

    def __init__(
        self,
        topology: app.Topology,
        system: openmm.System,
        *,
        trained_temperature: float,
        trained_force_field: str,
        is_judged: bool,
        temperature_range: tuple[float, float] | None = None,
    ) -> None:
        self._topology, self._system, self._is_judged = topology, system, is_judged
        self._range = temperature_range or (trained_temperature, trained_temperature)
        self._trained_force_field = trained_force_field
        self._atoms = list(topology.atoms())
        self._looked_at: tuple[int, int] | None = None  # number of forces and of constraints
        self._told: set[str] = set()
        self._temperature: float | None = None  # the latest

    def check_system(self, moved: np.ndarray, *, goes_on: bool = False) -> None:
        """Look at masses, constraints and forces.

        Parameters
        ----------
        moved : (n_moved,) int
            The atoms that the generator places.
        goes_on : bool
            True if the simulation has done nothing but generate since the last look. Then only numbers of constraints
            and of forces are compared: to look at each atom again would take longer than to place it.

        Raises
        ------
        UnsupportedSystemError
            If moved atoms have no mass, or a constraint is none of bonds, hydrogens and water, or if metadynamics acts
            on frames that no gate judges.
        """
        size = self._system.getNumForces(), self._system.getNumConstraints()
        if goes_on and size == self._looked_at:
            return
        self._require_masses(moved)
        if size == self._looked_at:
            return
        graph = TopologyBonds(self._topology)
        self._require_constraints(graph, set(moved.tolist()))
        for bias in biases(self._system, graph, moved):
            self._tell_of_bias(bias)
        if self._trained_force_field:
            for difference in differences(self._topology, self._system, moved, self._trained_force_field):
                self._tell(f"{difference}: generated frames are as in the training data, whatever the System")
        self._looked_at = size

    def check_barostat(self) -> None:
        """Warn of a barostat that changes nothing, since no real MD is run."""
        for force in self._system.getForces():
            kind = type(force).__name__
            if kind.endswith("Barostat") and force.getFrequency() > 0 and not self._is_judged:
                self._tell(
                    f"{kind} does nothing in generated frames: it changes the volume in steps of real MD, and there "
                    f"are none, so every frame has the box of the start. {_REAL_MD} has steps at its pressure"
                )

    def check_temperature(self, temperature: float | None) -> None:
        """Warn of a temperature, of the integrator or a thermostat, that the generator does not take.

        Parameters
        ----------
        temperature : float, K, or None
            None where none is kept.
        """
        is_first, has_changed = self._temperature is None, temperature != self._temperature
        self._temperature = temperature
        if temperature is None or not has_changed:
            return
        taken = nearest(temperature, self._range)
        if abs(temperature - taken) > _TEMPERATURE_TOLERANCE:
            verb = "is" if is_first else "is now"
            self._tell(
                f"the integrator {verb} at {temperature:g} K and the generator was trained at {in_words(self._range)}: "
                f"generated frames are of {taken:g} K, whatever the integrator says",
                key=f"temperature {verb}",
            )

    def check_reporters(self, reporters: Iterable[Any]) -> None:
        """Look for samplers that drive the simulation's temperature from a reporter.

        Raises
        ------
        UnsupportedSystemError
            If there is one, and no gate judges generated frames.
        """
        for reporter in reporters:
            if type(reporter).__module__ in _TEMPERING:
                self._tell_of_tempering()

    def _require_masses(self, moved: np.ndarray) -> None:
        frozen = [
            i
            for i in moved.tolist()
            if not self._system.getParticleMass(i).value_in_unit(unit.dalton) and not self._system.isVirtualSite(i)
        ]
        if frozen:
            others = f" and {len(frozen) - 1} others have" if len(frozen) > 1 else " has"
            raise UnsupportedSystemError(
                f"{self._name(frozen[0])}{others} a mass of zero, which keeps atoms in place in MD, and generated "
                f"frames move them: give them their masses. {_REAL_MD} keeps them in place"
            )

    def _require_constraints(self, graph: TopologyBonds, moved: set[int]) -> None:
        for k in range(self._system.getNumConstraints()):
            i, j, length = self._system.getConstraintParameters(k)
            if (i in moved or j in moved) and not self._is_of_force_field(graph, i, j):
                raise UnsupportedSystemError(
                    f"atoms {self._name(i)} and {self._name(j)} are constrained to "
                    f"{length.value_in_unit(unit.nanometer):.3f} nm, which generated frames do not keep: they keep "
                    f"bonds, and angles of hydrogens. Remove the constraint. {_REAL_MD} keeps it"
                )

    def _is_of_force_field(self, graph: TopologyBonds, i: int, j: int) -> bool:
        """Whether a constraint is that of a bond, or of an angle of a hydrogen: `app.HBonds`, `AllBonds`, `HAngles`."""
        if graph.are_bonded(i, j):
            return True
        first, second = self._atoms[i], self._atoms[j]
        has_hydrogen = any(atom.element is not None and atom.element.atomic_number == 1 for atom in (first, second))
        return has_hydrogen and first.residue == second.residue and graph.share_a_neighbour(i, j)

    def _tell_of_bias(self, bias: Bias) -> None:
        where = "" if bias.atom is None else f" acts on {self._name(bias.atom)} and"
        what = f"{bias.label}{f' of {bias.sampler}' if bias.sampler else ''}{where}"
        if bias.sampler and not self._is_judged:
            raise UnsupportedSystemError(
                f"{what} would grow without any effect: generated frames do not feel it. {_REAL_MD} does"
            )
        if bias.sampler:
            consequence = (
                "is not felt by generated frames, and the gate judges them by the bias as it was at the start; what is "
                "added at generated frames says nothing of the free energy"
            )
        elif self._is_judged:
            consequence = (
                "is not felt by generated frames. The gate judges them by the System's whole energy, with this force, "
                "but those that it accepts are not distributed as the force asks; real MD between them feels it"
            )
        else:
            consequence = (
                "is not felt by generated frames, which follow the force field of the training data alone; energies "
                f"of the System contain it. {_REAL_MD} feels it"
            )
        self._tell(f"{what} {consequence}")

    def _tell_of_tempering(self) -> None:
        what = "a sampler of openmm.app (simulated tempering, expanded ensembles) changes the state of this simulation"
        low, high = self._range
        trained = f"generated frames are of {low:g} K in every state"
        if low < high:
            trained = "energies of generated frames, by which it decides, lack thermal vibration"
        if not self._is_judged:
            raise UnsupportedSystemError(
                f"{what}, and {trained}, so its weights would mean nothing. {_REAL_MD} follows it"
            )
        self._tell(f"{what}, and {trained}: its weights hold for the real MD between them at best", key="tempering")

    def _tell(self, message: str, *, key: str = "") -> None:
        if (key or message) not in self._told:
            self._told.add(key or message)
            warn(message)

    def _name(self, index: int) -> str:
        atom = self._atoms[index]
        return f"{atom.residue.name} {atom.residue.id} {atom.name}"
