"""The distances that an evaluation gives, each defined once: name, label, column in the table, and how it is computed.

A *metric* compares a trajectory with the reference in one number. To add one, write a function of a `Pair` that returns
it, or raises `UndefinedError` where it has no value, and add a field to `Distances`: the summary, the report, the JSON
file and, if it names a column, the table of `openmm-mdgen table` then have it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from openmm_mdgen.analysis.comparison import Described, Number, Pair
from openmm_mdgen.analysis.distances import joint_angle_distance, js_distance, sample_distance
from openmm_mdgen.analysis.jackknife import Numbers
from openmm_mdgen.analysis.markov import state_frequencies
from openmm_mdgen.analysis.torsions import mean_torsion_distances, ramachandran_pairs, torsion_pairs
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt, known
from openmm_mdgen.analysis.wells import basins, rotamers

MINOR = 0.2  # share of the reference's frames below which a well is rare


def torsions_backbone(pair: Pair) -> float:
    """Mean over the distances of phi and psi."""
    return _mean(pair, mean_torsion_distances(pair.per_torsion).backbone, ("PHI", "PSI"))


def torsions_sidechain(pair: Pair) -> float:
    """Mean over the distances of chi1 to chi5."""
    return _mean(pair, mean_torsion_distances(pair.per_torsion).sidechain, ("CHI1",))


def torsions_all(pair: Pair) -> float:
    """Mean over the distances of all torsions."""
    return _mean(pair, mean_torsion_distances(pair.per_torsion).all, ("PHI", "PSI", "CHI1"))


def tica_0(pair: Pair) -> float:
    """Distance along the slowest coordinate of the reference."""
    return _along_slowest(pair, 1)


def tica_01(pair: Pair) -> float:
    """Distance in the plane of the reference's two slowest coordinates."""
    return _along_slowest(pair, 2)


def state_shares(pair: Pair) -> float:
    """Distance of the shares of the metastable states."""
    labels = known(pair.generated.labels), known(pair.reference.labels)
    n_states = known(pair.motion.states).n_states
    return float(js_distance(*(state_frequencies(x, n_states) for x in labels)))


def state_populations(pair: Pair) -> float:
    """Mean over the states of how far the shares of frames in them lie apart: 0 for equal ones, at most 0.2 of ten."""
    labels = known(pair.generated.labels), known(pair.reference.labels)
    n_states = known(pair.motion.states).n_states
    ours, theirs = (state_frequencies(x, n_states) for x in labels)
    return float(np.abs(ours - theirs).mean())


def minor_populations(pair: Pair) -> float:
    """Mean over the rare wells of how far the shares of frames in them lie apart.

    A well is a rotamer of a side chain or a basin of a residue's backbone; rare are those that less than a fifth of the
    reference's frames are in.
    """
    ours, theirs = (
        np.concatenate([sorted_into(side.torsions).populations() for sorted_into in (rotamers, basins)])
        for side in (pair.generated, pair.reference)
    )
    rare = theirs < MINOR
    if not rare.any():
        raise UndefinedError(f"no rotamer or basin holds less than {MINOR:.0%} of the reference's frames")
    return float(np.abs(ours - theirs)[rare].mean())


def omega(pair: Pair) -> float:
    """Mean over the distances of the torsions about peptide bonds."""
    return _coarse(pair, "omega", "no peptide bond has both C-alpha atoms")


def ca_distances(pair: Pair) -> float:
    """Mean over the distances of the distributions of the lengths from one C-alpha atom to the next."""
    return _coarse(pair, "ca_distances", "there are no two neighbouring C-alpha atoms")


def ca_angles(pair: Pair) -> float:
    """Mean over the distances of the angles of three C-alpha atoms in a row."""
    return _coarse(pair, "ca_angles", "there are no three neighbouring C-alpha atoms")


def ca_dihedrals(pair: Pair) -> float:
    """Mean over the distances of the dihedrals of four C-alpha atoms in a row."""
    return _coarse(pair, "ca_dihedrals", "there are no four neighbouring C-alpha atoms")


def published_pairs(pair: Pair) -> dict[str, float]:
    """Distances of the joint distributions of `torsion_pairs`."""
    return _joint(pair, torsion_pairs(pair.reference.torsions.names))


def ramachandran(pair: Pair) -> dict[str, float]:
    """Distances of the joint distributions of phi and psi."""
    return _joint(pair, ramachandran_pairs(pair.reference.torsions.names))


def _metric(label: str, compute: Callable[[Pair], float], *, column: str | None = None) -> Any:
    return field(metadata={"label": label, "compute": lambda pair: attempt(compute, pair), "column": column})


def _by_name(compute: Callable[[Pair], dict[str, float]]) -> Any:
    return field(metadata={"compute": compute})


@dataclass(frozen=True)
class Distances:
    """Square roots of Jensen-Shannon divergences from the reference (see `distances`): 0 equal, 0.83 disjoint.

    `msm_error` and `minor` alone are other distances: mean absolute errors of the populations of the metastable states,
    and of rotamers and basins that hold less than a fifth of the reference's frames.
    """

    torsions_backbone: Number = _metric("torsions, backbone", torsions_backbone, column="torsions (bb)")
    torsions_sidechain: Number = _metric("torsions, side chains", torsions_sidechain, column="torsions (sc)")
    torsions_all: Number = _metric("torsions, all", torsions_all, column="torsions (all)")
    per_torsion: dict[str, float] = _by_name(lambda pair: pair.per_torsion)
    torsion_pairs: dict[str, float] = _by_name(published_pairs)  # by "NAME|NAME"
    ramachandran: dict[str, float] = _by_name(ramachandran)  # by "PHI|PSI" of one residue
    tica_0: Number = _metric("TICA-0", tica_0, column="TICA-0")
    tica_01: Number = _metric("TICA-0,1", tica_01, column="TICA-0,1")
    msm: Number = _metric("metastable states", state_shares, column="MSM states")
    msm_error: Number = _metric("state populations, MAE", state_populations)  # mean absolute error
    minor: Number = _metric("minor populations, MAE", minor_populations, column="minor states")
    omega: Number = _metric("omega", omega)
    ca_distances: Number = _metric("C-alpha distances", ca_distances)
    ca_angles: Number = _metric("C-alpha angles", ca_angles)
    ca_dihedrals: Number = _metric("C-alpha dihedrals", ca_dihedrals)

    @classmethod
    def of(cls, pair: Pair) -> Distances:
        """Compute all of them."""
        return cls(**{entry.name: entry.metadata["compute"](pair) for entry in fields(cls)})

    def numbers(self) -> dict[str, Numbers]:
        """All values by name, as a nested dictionary."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    def labelled(self) -> dict[str, Number]:
        """The metrics by their labels."""
        return {label: getattr(self, name) for name, label in labels().items()}


def labels() -> dict[str, str]:
    """Labels of the metrics by their names."""
    return {entry.name: entry.metadata["label"] for entry in fields(Distances) if "label" in entry.metadata}


def columns() -> dict[str, str]:
    """Names of metrics by their columns in the table."""
    found = {entry.metadata.get("column"): entry.name for entry in fields(Distances)}
    return {column: name for column, name in found.items() if column is not None}


def _mean(pair: Pair, mean: Number, kinds: tuple[str, ...]) -> float:
    """A mean over torsions; where there is none, whether a trajectory lacks the atoms for them."""
    if isinstance(mean, NotDefined) and any(name.startswith(kinds) for name in pair.left_out.torsions):
        raise UndefinedError("not all trajectories have the atoms of these torsions")
    return known(mean)


def _coarse(pair: Pair, kind: str, why_not: str) -> float:
    ours, theirs = pair.generated.counts(kind), pair.reference.counts(kind)
    if not theirs:
        raise UndefinedError(why_not)
    return float(np.mean([js_distance(ours[name], theirs[name]) for name in theirs]))


def _along_slowest(pair: Pair, n: int) -> float:
    ours, theirs = (known(side.slow) for side in (pair.generated, pair.reference))
    if ours.shape[1] < n:
        raise UndefinedError(f"TICA has {ours.shape[1]} dimension; the sound definitions keep two")
    return sample_distance(ours[:, :n], theirs[:, :n])


def _joint(pair: Pair, names: list[tuple[str, str]]) -> dict[str, float]:
    def angles(side: Described, both: tuple[str, str]) -> tuple:
        return side.torsions[both[0]], side.torsions[both[1]]

    return {
        "|".join(both): joint_angle_distance(angles(pair.generated, both), angles(pair.reference, both))
        for both in names
    }
