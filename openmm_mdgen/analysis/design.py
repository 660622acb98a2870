"""Recovery of the true sequence by sequences that a model designs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from openmm_mdgen.analysis.definitions import Definitions
from openmm_mdgen.errors import MDGenError

T = TypeVar("T")


@dataclass(frozen=True)
class DesignRecovery:
    """Shares of residues that are right; *known* residues were given to the model, *designed* ones were not."""

    designed: float  # over samples and designed residues
    known: float
    majority_designed: float  # of the letter most samples chose, at each position
    majority_known: float
    most_frequent_designed: float  # of the combination of designed residues most samples chose
    final_designed: float  # of one sample, chosen by its known residues: see `Definitions`


def design_recovery(
    samples: Sequence[str], sequence: str, *, designed: Sequence[int] = (1, 2), definitions: Definitions
) -> DesignRecovery:
    """Compute the recovery of one peptide's true sequence; averages over peptides are left to the caller.

    Parameters
    ----------
    samples : sequence of str
        One-letter sequences, each of the length of `sequence`.
    designed : sequence of int
        Positions from 0; all others are known.

    Raises
    ------
    MDGenError
        If there is no sample, one has another length, or no position is designed or none known.
    """
    if not samples or any(len(sample) != len(sequence) for sample in samples):
        raise MDGenError(f"give at least one sample, each {len(sequence)} residues long as {sequence!r} is")
    known = [k for k in range(len(sequence)) if k not in designed]
    designed = list(designed)
    if not designed or not known or not set(designed) <= set(range(len(sequence))):
        raise MDGenError(f"designed positions {designed}: some residues of {sequence!r} are designed, some known")
    right = np.array([[ours == true for ours, true in zip(sample, sequence, strict=True)] for sample in samples])
    majority = [_most_common([sample[k] for sample in samples]) == sequence[k] for k in range(len(sequence))]
    combination = _most_common([tuple(sample[k] for k in designed) for sample in samples])
    by_known = np.argsort(right[:, known].sum(axis=1), kind="stable")
    final = by_known[0] if definitions is Definitions.PUBLISHED else by_known[-1]
    return DesignRecovery(
        float(right[:, designed].mean()),
        float(right[:, known].mean()),
        float(np.mean([majority[k] for k in designed])),
        float(np.mean([majority[k] for k in known])),
        float(np.mean([ours == sequence[k] for ours, k in zip(combination, designed, strict=True)])),
        float(right[final][designed].mean()),
    )


def _most_common(values: Sequence[T]) -> T:
    """The most frequent value; of several, the one that comes first."""
    return Counter(values).most_common(1)[0][0]
