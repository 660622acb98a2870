"""All seeds of a run from the one that the user gives: no two draws share one, and the same seed repeats the run."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from openmm_mdgen.arguments import whole
from openmm_mdgen.errors import MDGenError

_LOG = logging.getLogger(__name__)
_OPENMM_LARGEST = 2**31 - 1
_TRY = (0, 0)  # a spawn key that nothing else has


def valid_seed(seed: Any) -> int:
    """The seed as given, or one drawn by the operating system where there is none, which is told to the log.

    Raises
    ------
    MDGenError
        If it is not a whole number from 0 to 2**63 - 1.
    """
    if seed is None:
        drawn = int(np.random.SeedSequence().generate_state(1)[0] >> 1)
        _LOG.info("seed %d was drawn: given again, it repeats this", drawn)
        return drawn
    number = whole(seed)
    if number is None or not 0 <= number < 2**63:
        raise MDGenError(f"seed is {seed!r}: give a whole number from 0 to 2**63 - 1")
    return number


def valid_library_seed(seed: Any) -> int:
    """A seed of analysis, which libraries take in 31 bits.

    Raises
    ------
    MDGenError
        If it is not a whole number from 0 to 2**31 - 1.
    """
    number = whole(seed)
    if number is None or not 0 <= number <= _OPENMM_LARGEST:
        raise MDGenError(f"seed is {seed!r}: give a whole number from 0 to {_OPENMM_LARGEST}")
    return number


def segment_seed(seed: int, index: int, replica: int = 0) -> int:
    """Seed of segment number `index` of a run; replica 0 of a batch is the run that a simulation of this seed makes."""
    entropy = (seed, index) if replica == 0 else (seed, index, replica)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


def named_seed(seed: int, replica: int, name: str) -> int:
    """Seed of a replica of what has a name, such as a molecule of a list: it does not depend on the others."""
    return int(np.random.SeedSequence([seed, replica, *name.encode()]).generate_state(1)[0] >> 1)


def derived_seed(seed: int, index: int, spawn_key: tuple[int, ...]) -> int:
    """Seed of what belongs to segment number `index`, such as velocities or a landing, told apart by `spawn_key`."""
    return int(np.random.SeedSequence((seed, index), spawn_key=spawn_key).generate_state(1)[0] >> 1)


def seed_of_try(seed: int, number: int) -> int:
    """Seed of a start that is drawn for the `number`-th time, 0 being the first: that has the seed itself."""
    return seed if number == 0 else derived_seed(seed, number, _TRY)


def openmm_seed(seed: int) -> int:
    """A seed that OpenMM takes, from any: OpenMM's are below 2**31, and 0 would ask it to draw one."""
    return seed % _OPENMM_LARGEST + 1
