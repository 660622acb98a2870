"""Ensembles of a protein against MD, as in the ATLAS evaluations of AlphaFlow (Jing, Berger, Jaakkola 2024).

Lengths in nanometre. The *structure* is the experimental (or starting) one: contacts and exposure are told as changes
from it, and fluctuations are measured after superposing C-alpha atoms on it. Atoms that only one side has (hydrogens,
OXT) are left out, and so are caps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import mdtraj
import numpy as np

from openmm_mdgen.analysis import ensemble_measures as measured
from openmm_mdgen.analysis.comparison import Number
from openmm_mdgen.analysis.ensemble_measures import EnsemblePair, mutual_information, wasserstein
from openmm_mdgen.analysis.ensembles import N_FRAMES, SECONDARY, Ensemble, Frames, Shared, described, ensemble
from openmm_mdgen.analysis.jackknife import Numbers
from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt
from openmm_mdgen.errors import MDGenError

__all__ = [
    "EnsembleComparison",
    "EnsembleTable",
    "compare_ensembles",
    "mutual_information",
    "read_pairs",
    "tabulate",
    "wasserstein",
]


def _own(label: str, measure: Callable[[Ensemble], float], form: str = "{:.3f}", column: str | None = None) -> Any:
    def both(pair: EnsemblePair) -> tuple[Number, Number]:
        ours, theirs = (attempt(measure, side) for side in pair.sides)
        return ours, theirs

    return field(metadata={"label": label, "form": form, "compute": both, "own": True, "column": column})


def _apart(label: str, measure: Callable[[EnsemblePair], float], column: str | None = None) -> Any:
    def compute(pair: EnsemblePair) -> Number:
        return attempt(measure, pair)

    return field(metadata={"label": label, "form": "{:.3f}", "compute": compute, "own": False, "column": column})


@dataclass(frozen=True, eq=False)
class EnsembleComparison:
    """The comparison of one protein's ensembles; lengths in nm, pairs of values are generated and reference."""

    pair: EnsemblePair
    pairwise_rmsd: tuple[Number, Number] = _own("pairwise RMSD, nm", measured.pairwise_rmsd, column="pairwise RMSD, nm")
    global_rmsf: tuple[Number, Number] = _own(
        "RMSF of all residues together, nm", measured.global_rmsf, column="RMSF, nm"
    )
    rmsd_to_structure: tuple[Number, Number] = _own("RMSD from the structure, nm", measured.rmsd_to_structure)
    gyration: tuple[Number, Number] = _own("radius of gyration, nm", measured.gyration, column="Rg, nm")
    helix: tuple[Number, Number] = _own("residues in helices", measured.helix, "{:.1%}", column="helix")
    strand: tuple[Number, Number] = _own("residues in strands", measured.strand, "{:.1%}", column="strand")
    rmsf_correlation: Number = _apart(
        "RMSF by residue, Pearson correlation", measured.rmsf_correlation, "RMSF correlation"
    )
    rmsf_rank_correlation: Number = _apart("RMSF by residue, Spearman correlation", measured.rmsf_rank_correlation)
    root_mean_w2: Number = _apart("root mean W2 of atoms, nm", measured.root_mean_w2, "root mean W2, nm")
    root_mean_w2_translation: Number = _apart("... of their centres, nm", measured.root_mean_w2_translation)
    root_mean_w2_variance: Number = _apart("... of their spreads, nm", measured.root_mean_w2_variance)
    md_pca_w2: Number = _apart("W2 along real MD's principal components, nm", measured.md_pca_w2, "MD PCA W2, nm")
    joint_pca_w2: Number = _apart("W2 along joint principal components, nm", measured.joint_pca_w2)
    principal_component_cosine: Number = _apart(
        "first principal components, cosine", measured.principal_component_cosine
    )
    gyration_w2: Number = _apart("W2 of the radius of gyration, nm", measured.gyration_w2)
    secondary_difference: Number = _apart(
        "secondary structure, mean difference of shares", measured.secondary_difference, "secondary structure"
    )
    weak_contacts: Number = _apart("weak contacts, Jaccard index", measured.weak_contacts, "weak contacts")
    transient_contacts: Number = _apart(
        "transient contacts, Jaccard index", measured.transient_contacts, "transient contacts"
    )
    exposed_residues: Number = _apart("exposed residues, Jaccard index", measured.exposed_residues, "exposed residues")
    exposed_information: Number = _apart(
        "mutual information of exposure, Spearman correlation", measured.exposed_information
    )

    @classmethod
    def of(cls, pair: EnsemblePair) -> EnsembleComparison:
        """Compute all of them."""
        return cls(pair, **{entry.name: entry.metadata["compute"](pair) for entry in _measures()})

    @property
    def n_residues(self) -> int:
        """That are compared."""
        return len(self.pair.reference.labels)

    @cached_property
    def rmsf(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each C-alpha atom, (n_residues,): generated, reference."""
        return measured.fluctuations(self.pair.generated), measured.fluctuations(self.pair.reference)

    def numbers(self) -> dict[str, Numbers]:
        """All measures by name; of those that each side has by itself, both."""
        found = {entry.name: getattr(self, entry.name) for entry in _measures()}
        return {
            name: {"generated": value[0], "reference": value[1]} if isinstance(value, tuple) else value
            for name, value in found.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """All numbers with their units: those of each side, those that compare them, and those of each residue."""
        values = self.numbers()
        return {
            "frames_used": {"generated": self.pair.generated.n_frames, "reference": self.pair.reference.n_frames},
            "structure": self.pair.structure_name,
            "residues": list(self.pair.reference.labels),
            "heavy_atoms": int(self.pair.reference.xyz.shape[1]),
            "lengths_in": "nm",
            "of_each": {m.name: values[m.name] for m in measures() if m.own},
            "compared": {m.name: values[m.name] for m in measures() if not m.own},
            "by_residue": self.by_residue(),
        }

    def by_residue(self) -> dict[str, dict[str, Any]]:
        """What is known of each residue, by quantity and side."""
        sides = {"generated": self.pair.generated, "reference": self.pair.reference}
        found: dict[str, dict[str, Any]] = {
            "rmsf": {name: measured.fluctuations(side) for name, side in sides.items()},
            "exposed": {name: attempt(lambda e: e.mean(axis=0), side.exposed) for name, side in sides.items()},
        }
        for code, kind in enumerate(SECONDARY):
            found[kind] = {
                name: attempt(lambda s, k=code: measured.secondary_shares(s)[:, k], side)
                for name, side in sides.items()
            }
        return found


def _measures() -> list[Any]:
    return [entry for entry in fields(EnsembleComparison) if entry.metadata]


@dataclass(frozen=True)
class Measure:
    """How a measure is shown."""

    name: str
    label: str
    form: str  # of `str.format`
    own: bool  # whether each ensemble has a value by itself
    column: str | None  # in the table of many proteins


def measures() -> list[Measure]:
    """All measures, in their order."""
    return [Measure(entry.name, **{k: v for k, v in entry.metadata.items() if k != "compute"}) for entry in _measures()]


@dataclass(frozen=True)
class EnsembleTable:
    """The comparison of many proteins' ensembles; medians unless said otherwise."""

    pairwise_rmsd_correlation: float | NotDefined  # Pearson, over the proteins
    global_rmsf_correlation: float | NotDefined  # Pearson, over all residues of all proteins
    rmsf_correlation: float | NotDefined
    root_mean_w2: float | NotDefined
    md_pca_w2: float | NotDefined
    joint_pca_w2: float | NotDefined
    similar_components: float | NotDefined  # share of proteins whose first components have a cosine above 0.5
    weak_contacts: float | NotDefined
    transient_contacts: float | NotDefined
    exposed_residues: float | NotDefined
    exposed_information: float | NotDefined


def compare_ensembles(
    generated: mdtraj.Trajectory,
    reference: mdtraj.Trajectory,
    structure: mdtraj.Trajectory,
    *,
    n_frames: int = N_FRAMES,
) -> EnsembleComparison:
    """Compare one protein's generated ensemble with its MD.

    Parameters
    ----------
    generated, reference : mdtraj.Trajectory
    structure : mdtraj.Trajectory
        The experimental or starting structure: its first frame.
    n_frames : int
        Frames used of each ensemble, evenly spaced.

    Returns
    -------
    EnsembleComparison

    Raises
    ------
    MDGenError
        If they are of different molecules, or one has fewer than two frames.
    StateError
        If a position is not finite.
    """
    ours, theirs, start = (
        Frames.in_memory(one, told)
        for one, told in (
            (generated, "the generated ensemble"),
            (reference, "the reference"),
            (structure, "the structure"),
        )
    )
    return EnsembleComparison.of(read_pairs([ours], [theirs], [], start, n_frames=n_frames)[0])


def read_pairs(
    generated: Sequence[Frames],
    reference: Sequence[Frames],
    others: Sequence[Sequence[Frames]] = (),
    structure: Frames | None = None,
    *,
    n_frames: int = N_FRAMES,
) -> list[EnsemblePair]:
    """Read the ensembles of one protein, each once.

    Parameters
    ----------
    generated, reference : sequence of Frames
        Trajectories of each side.
    others : sequence of the same
        Further sides to compare with the reference, such as a second MD run.
    structure : Frames, optional
        Its first frame is the structure. Default: the reference.
    n_frames : int
        Frames used of each ensemble at most.

    Returns
    -------
    list of EnsemblePair
        The generated side with the reference, then each of the others with it.

    Raises
    ------
    MDGenError
        If they are of different molecules, or one has fewer than two frames.
    StateError
        If a position is not finite.
    """
    start = structure or reference[0]
    frame = start.first()
    every = (reference, generated, *others)
    shared = Shared.of([*(one.layout for side in every for one in side), start.layout], frame.topology)
    placed = shared.select(frame, start.layout)
    theirs, *ours = (ensemble(side, shared, placed, n_frames) for side in every)
    alone = described(placed.xyz, (1,), shared, placed)
    name = "the first frame of the reference" if structure is None else structure.layout.file
    return [EnsemblePair(one, theirs, alone, name) for one in ours]


def tabulate(comparisons: Sequence[EnsembleComparison]) -> EnsembleTable:
    """Make one row for many proteins. A protein for which a quantity is not defined is left out of its median."""
    if not comparisons:
        raise MDGenError("a table needs at least one protein")

    def median(name: str) -> float | NotDefined:
        values = [getattr(c, name) for c in comparisons]
        known = [value for value in values if not isinstance(value, NotDefined)]
        return float(np.median(known)) if known else values[0]

    rmsds = np.array([c.pairwise_rmsd for c in comparisons])
    pooled = [np.concatenate([c.rmsf[k] for c in comparisons]) for k in (0, 1)]
    return EnsembleTable(
        pairwise_rmsd_correlation=attempt(measured.pearson, rmsds[:, 0], rmsds[:, 1]),
        global_rmsf_correlation=attempt(measured.pearson, *pooled),
        rmsf_correlation=median("rmsf_correlation"),
        root_mean_w2=median("root_mean_w2"),
        md_pca_w2=median("md_pca_w2"),
        joint_pca_w2=median("joint_pca_w2"),
        similar_components=attempt(_share_above, [c.principal_component_cosine for c in comparisons], 0.5),
        weak_contacts=median("weak_contacts"),
        transient_contacts=median("transient_contacts"),
        exposed_residues=median("exposed_residues"),
        exposed_information=median("exposed_information"),
    )


def _share_above(values: list[Number], limit: float) -> float:
    found = [value > limit for value in values if not isinstance(value, NotDefined)]
    if not found:
        raise UndefinedError("no protein has a cosine of first principal components")
    return float(np.mean(found))
