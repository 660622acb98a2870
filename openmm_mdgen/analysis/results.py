"""What an evaluation holds. Times in picosecond; every number may be `NotDefined`, with the reason."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from openmm_mdgen.analysis.comparison import Number
from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.analysis.equivalent import EquivalentTime
from openmm_mdgen.analysis.jackknife import Numbers
from openmm_mdgen.analysis.kinetics import Curve
from openmm_mdgen.analysis.markov import FluxCorrelation
from openmm_mdgen.analysis.memory import Memory
from openmm_mdgen.analysis.metrics import Distances
from openmm_mdgen.analysis.proteins import EnsembleComparison
from openmm_mdgen.analysis.slow_times import SlowTime
from openmm_mdgen.analysis.sources import LeftOut
from openmm_mdgen.analysis.summary import summary
from openmm_mdgen.analysis.surfaces import Surface
from openmm_mdgen.analysis.undefined import NotDefined, attempt
from openmm_mdgen.analysis.validity import SHARES, Geometry


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Autocorrelation functions and relaxation times of one torsion or slow coordinate."""

    generated: Number  # ps, when the autocorrelation function falls to 1/e
    reference: Number
    generated_curve: Curve | NotDefined
    reference_curve: Curve | NotDefined
    generated_seconds: Number  # wall time in which a trajectory of that length was made
    reference_seconds: Number


@dataclass(frozen=True, eq=False)
class States:
    """Metastable states; matrices are the identity, shares zero, where a state is not left and entered again."""

    generated_shares: np.ndarray  # (n_states,) of frames
    reference_shares: np.ndarray
    generated_transition: np.ndarray | NotDefined  # (n_states, n_states), in one lag time
    reference_transition: np.ndarray
    generated_stationary: np.ndarray | NotDefined  # (n_states,)
    reference_stationary: np.ndarray
    never_visited: tuple[int, ...]  # states of the reference that the generated trajectory has no frame in
    flux_correlation: FluxCorrelation | NotDefined


@dataclass(frozen=True, eq=False)
class Validity:
    """The geometry of both trajectories' molecules, and the distances of their bond lengths and angles."""

    generated: Geometry
    reference: Geometry
    bond_distances: dict[str, float]  # by elements, as `Distances`
    angle_distances: dict[str, float]


@dataclass(frozen=True)
class TrajectoryFacts:
    """What was compared."""

    n_trajectories: int
    n_frames: int  # of all of them together
    frame_interval: Number  # ps
    wall_seconds: Number  # that it took


@dataclass(frozen=True)
class Settings:
    """All that a repetition needs."""

    definitions: Definitions
    lagtime: float  # ps
    n_clusters: int
    n_states: int
    seed: int
    versions: dict[str, str]  # of the packages that computed it


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A generated trajectory against real MD."""

    settings: Settings
    generated: TrajectoryFacts
    reference: TrajectoryFacts
    replicate: TrajectoryFacts | NotDefined
    jsd: Distances
    replicate_jsd: Distances | NotDefined  # of a second MD run: as near as real MD comes
    tica_dimensions: Number
    relaxation: dict[str, Relaxation]  # by torsion
    tica_relaxation: Relaxation | NotDefined
    slow_times: dict[str, SlowTime]  # of the slowest coordinates and torsions
    memory: dict[str, Memory]  # by the time, such as "100 ps"
    states: States | NotDefined
    equivalent_md_time: EquivalentTime | NotDefined
    equivalent_md_seconds: Number  # wall time of that much MD
    validity: Validity
    replicate_geometry: Geometry | NotDefined  # of a second MD run's molecules
    surfaces: dict[str, Surface]  # Ramachandran per residue, and "TICA-0|TICA-1"
    ensemble: EnsembleComparison | NotDefined  # of a protein
    replicate_ensemble: EnsembleComparison | NotDefined  # of a second MD run
    left_out: LeftOut
    errors: dict[str, Numbers] | NotDefined  # standard errors of `numbers`, over several trajectories

    def __str__(self) -> str:
        """The numbers with their names, a line each; as ``openmm-mdgen evaluate`` prints them."""
        return "\n".join(summary(self))

    def numbers(self) -> dict[str, Numbers]:
        """What errors are given of: distances, relaxation times (ps), shares of frames, measures of ensembles."""
        return numbers(self.jsd, self.relaxation, self.validity, self.ensemble)

    def error(self, *keys: str) -> Number:
        """The standard error of one of `numbers`, e.g. ``error("jsd", "torsions_all")``.

        Not defined for a number of one side alone, where that side is one trajectory: nothing is known of its error.
        """
        for side in ("generated", "reference"):
            if side in keys and getattr(self, side).n_trajectories == 1:
                return NotDefined("one trajectory alone has no error")
        found: Numbers | NotDefined = self.errors
        for key in keys:
            if not isinstance(found, dict):
                break
            found = found[key]
        assert not isinstance(found, dict)
        return found

    def to_json(self) -> str:
        """JSON text. Every number is a number or null; see `with_reasons`. An infinite free energy is null, too."""
        return json.dumps(with_reasons(self), indent=1, allow_nan=False)


def numbers(
    jsd: Distances,
    relaxation: dict[str, Relaxation],
    validity: Validity,
    ensemble: EnsembleComparison | NotDefined,
) -> dict[str, Numbers]:
    """Those numbers of an evaluation that have a standard error over trajectories, by their names in it.

    Parameters
    ----------
    jsd : Distances
    relaxation : dict of str to Relaxation
    validity : Validity
    ensemble : EnsembleComparison or NotDefined

    Returns
    -------
    nested dict
    """
    return {
        "jsd": jsd.numbers(),
        "relaxation": {
            name: {"generated": found.generated, "reference": found.reference} for name, found in relaxation.items()
        },
        "validity": {
            "generated": {name: getattr(validity.generated, name) for name in SHARES},
            "reference": {name: getattr(validity.reference, name) for name in SHARES},
        },
        "ensemble": attempt(EnsembleComparison.numbers, ensemble),
    }


def with_reasons(content: object) -> dict[str, Any]:
    """A dictionary or an object of fields, as dictionaries, lists, numbers, strings and None.

    None stands for what is not defined; ``not_defined`` in the dictionary, or in one nearer to it, has the reasons, by
    names with dots between them.
    """
    reasons: dict[str, str] = {}

    def numbers_alone(value: Any, name: str) -> Any:
        if isinstance(value, NotDefined):
            reasons[name] = value.why
            return None
        if isinstance(value, EnsembleComparison):
            return with_reasons(value.as_dict())
        if dataclasses.is_dataclass(value):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, dict):
            return {str(key): numbers_alone(item, f"{name}.{key}" if name else str(key)) for key, item in value.items()}
        return plain(value)

    found = numbers_alone(content, "")
    return {**found, "not_defined": reasons}


def plain(value: object) -> object:
    """As dictionaries, lists, numbers, strings and None."""
    if isinstance(value, NotDefined):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, EnsembleComparison):
        return with_reasons(value.as_dict())
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isinf(value) else value
    return value
