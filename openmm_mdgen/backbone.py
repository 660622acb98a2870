"""A chain built from its torsions alone, with the peptide bonds of a given structure.

Axes as in `reconstruct`. The rigid of residue i + 1 follows from that of residue i by psi of i and omega and phi of
i + 1, and by what does not turn: the bond lengths and angles in between. A generated chain placed so holds together
exactly, however inexact the generated rigids are; those then give its place in space. Errors of torsions add up along
the chain, so this is for peptides, not for proteins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.atom14 import BACKBONE_POSITIONS, backbone_rigids, torsions, turn_about_x
from openmm_mdgen.reconstruct import AllAtomTemplate
from openmm_mdgen.rigid import Rigid, superposition

_N, _CA, _C = range(3)
_OMEGA, _PHI, _PSI = range(3)


@dataclass(frozen=True, eq=False)
class Backbone:
    """The fixed part of each peptide link, (L - 1,) rigids in ångström, float64."""

    to_psi: Rigid  # (L - 1,) backbone rigid to the psi group of the same residue at torsion zero
    to_omega: Rigid  # (L - 1,) psi group to the frame of C-N
    to_phi: Rigid  # (L - 1,) frame of C-N to that of N-CA
    to_next: Rigid  # (L - 1,) frame of N-CA to the next backbone rigid

    @classmethod
    def measure(cls, template: AllAtomTemplate, positions: np.ndarray) -> Backbone:
        """Take the links of the structure that the template was measured on, (N, 3) nm."""
        chain = template.chain
        atom14 = chain.atom14(np.asarray(positions, dtype=np.float64))
        found = torsions(torch.as_tensor(chain.aatype), atom14)
        n, ca, c = (atom14[:, k] for k in (_N, _CA, _C))
        rigids, to_psi = backbone_rigids(atom14), template.default[:-1, 3]
        psi = (rigids[:-1] @ to_psi).turned(found[:-1, _PSI])
        omega = Rigid.from_three_points(c[:-1], n[1:], ca[:-1])
        phi = Rigid.from_three_points(n[1:], ca[1:], c[:-1])
        to_phi = omega.turned(found[1:, _OMEGA]).inverse() @ phi
        to_next = phi.turned(found[1:, _PHI]).inverse() @ rigids[1:]
        return cls(to_psi, psi.inverse() @ omega, to_phi, to_next)
