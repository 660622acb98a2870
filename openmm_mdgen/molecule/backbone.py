"""A chain built from its torsions alone, with the peptide bonds of a given structure.

Axes as in `template`. The rigid of residue i + 1 follows from that of residue i by psi of i and omega and phi of
i + 1, and by what does not turn: the bond lengths and angles in between. A chain placed so holds together exactly,
however inexact the generated rigids are; those then say where in space it lies. Errors of torsions add up along the
chain, so this is for peptides, not for proteins.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from openmm_mdgen.geometry.atom14 import backbone_points, backbone_rigids
from openmm_mdgen.geometry.atom14 import torsions as torsions_of
from openmm_mdgen.geometry.rigid import Rigid, superposition

_N, _CA, _C = range(3)
_OMEGA, _PHI, _PSI = range(3)


@dataclass(frozen=True, eq=False)
class PeptideLinks:
    """What does not turn between neighbours, (3, L - 1) rigids in ångström; (3, L) of a chain closed head to tail.

    From the psi group of a residue (as `group_rigids` gives it) to the frame of its bond C-N, from there to that of
    N-CA, from there to the rigid of the next residue, each with the torsion before it taken out.
    """

    rigids: Rigid

    @classmethod
    def measure(
        cls,
        aatype: Int[Tensor, " L"],
        atom14: Float[Tensor, "L 14 3"],
        psi_groups: Rigid,
        before: Float[Tensor, "2 3"] | None = None,
    ) -> PeptideLinks:
        """Take the links of a structure; psi groups (L,).

        `before` are CA and C before the first residue where the chain is closed head to tail. Its links begin as those
        of an open one do, and end with that from the last residue to the first.
        """
        torsions, is_cyclic = torsions_of(aatype, atom14, before), before is not None
        here = torch.arange(len(atom14) - (not is_cyclic))
        there = (here + 1) % len(atom14)
        n, ca, c = (atom14[:, k] for k in (_N, _CA, _C))
        omega = Rigid.from_three_points(c[here], n[there], ca[here])
        phi = Rigid.from_three_points(n[there], ca[there], c[here])
        after_omega, after_phi = omega.turned(torsions[there, _OMEGA]), phi.turned(torsions[there, _PHI])
        links = (
            psi_groups[here].inverse() @ omega,
            after_omega.inverse() @ phi,
            after_phi.inverse() @ backbone_rigids(atom14)[there],
        )
        return cls(Rigid.cat([link[None] for link in links]))

    def build(self, torsions: Float[Tensor, "*batch L 7 2"], to_psi: Rigid) -> Rigid:
        """Rigids (..., L) of the chain with these torsions, its first residue at the origin.

        `to_psi` (L,) leads from a backbone rigid to its psi group at torsion zero; of the torsions' floating type.
        """
        links = self.rigids.to(torsions)
        chain = [Rigid.identity(torsions.shape[:-3], torsions)]
        for i in range(torsions.shape[-3] - 1):
            psi, omega, phi = torsions[..., i, _PSI, :], torsions[..., i + 1, _OMEGA, :], torsions[..., i + 1, _PHI, :]
            turned = (chain[-1] @ to_psi[i]).turned(psi) @ links[0, i]
            turned = turned.turned(omega) @ links[1, i]
            chain.append(turned.turned(phi) @ links[2, i])
        return Rigid.stack(chain)


def laid_over(chain: Rigid, near: Rigid) -> Rigid:
    """Rigids (..., L) moved as one body to lie closest to others."""
    points = backbone_points(chain)
    motion = superposition(points, backbone_points(near), torch.ones_like(points[..., 0]))
    return motion[..., None] @ chain
