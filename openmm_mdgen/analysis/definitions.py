"""Which definitions a comparison follows, and values that do not exist.

A number that cannot be computed is never given as nan or 0: functions raise `UndefinedError`, and an evaluation holds
`NotDefined` in its place, with the reason.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from openmm_mdgen.errors import MDGenError

T = TypeVar("T")


class Definitions(enum.Enum):
    """``PUBLISHED`` for numbers comparable with those of Jing et al. 2024; ``SOUND`` mends what is ill-posed there.

    ===================  =====================================  =======================================================
    subject              PUBLISHED                              SOUND
    ===================  =====================================  =======================================================
    torsions             chi5 of ARG counted; symmetric ends    chi5 of ARG, which is all but fixed, left out; symmetric
                         of ASP, GLU, PHE, TYR by atom name     ends folded to one half turn
    TICA                 as many dimensions as hold 95 % of     at least two of them
                         the kinetic variance
    Markov states        defined if every cluster is connected  a cluster outside of the connected set belongs to the
                                                                state of the nearest cluster inside
    relaxation of TICA   about zero                             about the trajectory's own mean
    end states           transition weighted by the             the flux: weighted by the population left
                         population arrived at
    paths                connected states and all states        states are mapped; a path through an unknown state or
                         numbered alike; unknown states become  to another end has probability 0
                         the most populated; end of the first
                         path taken for all
    design               "final" recovery of the sample worst   of the best sample
                         in the known residues
    ===================  =====================================  =======================================================
    """

    PUBLISHED = "published"
    SOUND = "sound"


class UndefinedError(MDGenError):
    """A quantity that has no value for this input; the message says why."""


@dataclass(frozen=True)
class NotDefined:
    """Stands where a value would."""

    why: str

    def __str__(self) -> str:
        return f"not defined: {self.why}"


def attempt(compute: Callable[..., T], *args: object) -> T | NotDefined:
    """What `compute` returns, or why it cannot. An argument that is not defined makes the result so."""
    for value in args:
        if isinstance(value, NotDefined):
            return value
    try:
        return compute(*args)
    except UndefinedError as error:
        return NotDefined(str(error))
