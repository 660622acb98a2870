"""Upsampled trajectories against fine real MD: whether the fast motion put in is the real one."""

from __future__ import annotations

from dataclasses import dataclass

from openmm_mdgen.analysis.kinetics import Curve, curve_difference, upsampling_curve
from openmm_mdgen.analysis.sources import Source, measure
from openmm_mdgen.analysis.undefined import NotDefined, attempt


@dataclass(frozen=True, eq=False)
class Upsampling:
    """Of one torsion: circular autocorrelations from lag 1 to 100 ps, without baseline."""

    generated: Curve | NotDefined
    reference: Curve | NotDefined
    coarse: Curve | NotDefined  # the reference's every `stride`-th frame: all that the generator was given
    difference: float | NotDefined  # mean absolute, of generated and reference


def compare_upsampling(generated: Source, reference: Source, *, stride: int = 100) -> dict[str, Upsampling]:
    """By torsion, for a generated trajectory and real MD of the same molecule, both fine.

    Raises
    ------
    MDGenError
        If a file cannot be read or the molecules differ.
    """
    theirs = measure(reference).torsions
    ours = measure(generated).torsions.ordered(theirs.names)
    found = {}
    for name in theirs.names:
        fast, real, coarse = (attempt(upsampling_curve, s, name) for s in (ours, theirs, theirs.every(stride)))
        found[name] = Upsampling(fast, real, coarse, attempt(curve_difference, fast, real))
    return found
