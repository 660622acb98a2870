"""Upsampled trajectories against real MD of the same frame interval: whether the fast motion is the real one."""

from __future__ import annotations

from dataclasses import dataclass

from openmm_mdgen.analysis.kinetics import Curve, curve_difference, upsampling_curve
from openmm_mdgen.analysis.sources import Source, opened_alike
from openmm_mdgen.analysis.undefined import NotDefined, attempt


@dataclass(frozen=True, eq=False)
class Upsampling:
    """Circular autocorrelations of one torsion from lag 1 to 100 ps; no baseline is subtracted."""

    generated: Curve | NotDefined
    reference: Curve | NotDefined
    coarse: Curve | NotDefined  # the reference's every `stride`-th frame: all that the generator was given
    difference: float | NotDefined  # mean absolute, of generated and reference


def compare_upsampling(generated: Source, reference: Source, *, stride: int = 100) -> dict[str, Upsampling]:
    """Compare a generated trajectory with real MD of the same molecule and frame interval, torsion by torsion.

    Parameters
    ----------
    generated, reference : TrajectoryFile or mdtraj.Trajectory
    stride : int
        How many frames of the reference lie between those that the generator was given.

    Returns
    -------
    dict of str to Upsampling

    Raises
    ------
    MDGenError
        If a file cannot be read or the molecules differ.
    """
    alike = opened_alike([generated], [reference])
    ours, theirs = (one.measure().torsions for one in (alike.generated[0], alike.reference[0]))
    found = {}
    for name in theirs.names:
        fast, real, coarse = (attempt(upsampling_curve, s, name) for s in (ours, theirs, theirs.every(stride)))
        found[name] = Upsampling(fast, real, coarse, attempt(curve_difference, fast, real))
    return found
