"""Which definitions a comparison follows: the published ones, or those that mend what is ill-posed there."""

from __future__ import annotations

import enum

from openmm_mdgen.errors import MDGenError


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

    @classmethod
    def named(cls, option: str, name: str) -> Definitions:
        """The one of that name; `MDGenError` names the option where there is none."""
        try:
            return cls(name)
        except ValueError:
            raise MDGenError(f"{option} {name!r}: take {' or '.join(d.value for d in cls)}") from None
