"""What weights say of themselves. Times in picosecond, temperatures in kelvin."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from openmm_mdgen.arguments import positive, valid_count
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.temperatures import in_words

_ADDED = ("evaluations", "temperatures")  # fields that are left out of files where they say nothing


@dataclass(frozen=True)
class ModelInfo:
    """What a user of the weights must know.

    Parameters
    ----------
    name : str
        Name of the weights, for messages.
    n_frames : int
        Frames of one segment, the known first one included.
    frame_interval : float
        Picoseconds between frames.
    temperature : float
        Temperature of the training data, in kelvin; of weights that know several, the one that they generate at unless
        they are asked for another.
    force_field : str
        Force field and solvent model of the training data.
    ode_solver : str
        Name in `ode.SOLVERS` of the solver that the weights are used with by default.
    backbone : {"torsions", "fitted", "rigids"}
        How the generated numbers place the backbone. "torsions" builds a short chain of its torsions, so that it holds
        together exactly. "fitted" turns the torsions of a chain of any length until it lies closest to the residues'
        rigids, and it holds together as well. "rigids" places each residue by its own rigid, as the published model
        does, and bonds between residues are of any length.
    about : dict
        Training data, settings, metrics, licence: for people, not read by the code.
    evaluations : int, optional
        How many times `ode_solver` evaluates the network for a segment. Default: as many as that solver has.
    temperatures : tuple of float, optional
        All temperatures of the training data in kelvin, rising, of weights whose network is told the temperature: they
        take any from the first to the last. Default: the weights know `temperature` alone.
    """

    name: str
    n_frames: int
    frame_interval: float
    temperature: float
    force_field: str = "unknown"
    ode_solver: str = "multistep"
    backbone: str = "torsions"
    about: dict[str, Any] = field(default_factory=dict)
    evaluations: int | None = None
    temperatures: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name, valid in (("n_frames", valid_count), ("frame_interval", positive), ("temperature", positive)):
            valid(name, getattr(self, name))
        for kelvin in self.temperatures or ():
            positive("one of the temperatures", kelvin)
        if self.temperatures and list(self.temperatures) != sorted(self.temperatures):
            raise MDGenError(f"temperatures are {self.temperatures}: give them rising")
        if self.evaluations is not None:
            valid_count("evaluations", self.evaluations)

    @property
    def temperature_range(self) -> tuple[float, float]:
        """Lowest and highest temperature that the weights take, in kelvin."""
        known = self.temperatures or (self.temperature,)
        return known[0], known[-1]

    @property
    def temperature_in_words(self) -> str:
        """The temperatures that the weights take, such as ``"300 to 350 K"``."""
        return in_words(self.temperature_range)

    def values(self) -> dict[str, Any]:
        """As plain values, for JSON; versions that do not know a field read what leaves it out."""
        said = asdict(self)
        return {name: value for name, value in said.items() if value is not None or name not in _ADDED}

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> ModelInfo:
        """Inverse of `values`, also after a passage through JSON."""
        known = values.get("temperatures")
        return cls(**{**values, "temperatures": None if known is None else tuple(known)})
