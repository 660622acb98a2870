"""What does not turn in a chain, and what its torsions are held to: for the fit of `nearest`.

Axes: ``L`` residues, ``K`` links between them: L - 1, or L in a chain closed head to tail; ``S`` cysteines in
disulfides, two of each of ``D``. Ångström, radian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.residues import CHI1_GROUP, PSI_GROUP
from openmm_mdgen.geometry.rigid import Rigid, between
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule.fitting import OMEGA_REACH
from openmm_mdgen.molecule.hinges import wrapped
from openmm_mdgen.molecule.template import AllAtomTemplate

_OMEGA, _CHI1 = 0, 3
_CB, _SG = (residues.ATOM14_NAMES["CYS"].index(name) for name in ("CB", "SG"))


@dataclass(frozen=True, eq=False)
class Skeleton:
    """What does not turn in a chain, of one structure or, with an axis before the others, of a row of structures."""

    steps: Rigid  # (K, 4), of each link; see `hinges`
    atoms: Tensor  # (L, 3, 3): N, CA and C of each residue in its rigid
    carbons: Tensor  # (S, 3): CB of cysteines in disulfides, in the residue's rigid
    hinges: Rigid  # (S,): chi1 at zero, in the residue's rigid
    sulfurs: Tensor  # (S, 3): SG, in its rigid group
    lengths: Tensor  # (D, 3): SG-SG, and CB to the other SG of each

    @classmethod
    def of(cls, template: AllAtomTemplate) -> Skeleton:
        """That of a template."""
        links, chain = template.links.rigids, template.chain
        n_links = links.shape[1]
        steps = Rigid.stack([template.default[:n_links, PSI_GROUP], *(links[k] for k in range(3))])

        def inside(members: np.ndarray, slot: int) -> Tensor:
            place = np.searchsorted(chain.atom_indices, chain.atom14_index[members, slot])
            return template.positions[torch.as_tensor(place)]

        everywhere, halves = np.arange(len(chain.sequence)), _halves(template)
        return cls(
            steps,
            torch.stack([inside(everywhere, slot) for slot in range(3)], dim=1),
            inside(halves, _CB),
            template.default[torch.as_tensor(halves), CHI1_GROUP],
            inside(halves, _SG),
            _lengths(template),
        )

    def towards(self, other: Skeleton, share: Float[Tensor, " T"]) -> Skeleton:
        """(T, ...): from this one (share 0) to the other (1)."""

        def mixed(one: Tensor, two: Tensor) -> Tensor:
            return torch.lerp(one[None], two[None], share.to(one).view(-1, *[1] * one.dim()))

        share = share.to(self.atoms)
        return Skeleton(
            between(self.steps[None], other.steps[None], share[:, None, None]),
            mixed(self.atoms, other.atoms),
            mixed(self.carbons, other.carbons),
            between(self.hinges[None], other.hinges[None], share[:, None]),
            mixed(self.sulfurs, other.sulfurs),
            mixed(self.lengths, other.lengths),
        )

    def each(self, index: Tensor | None) -> Skeleton:
        """Those of some frames, from a row of structures; of one structure, without an index, a row of one."""
        return Skeleton(
            self.steps[index],
            self.atoms[index],
            self.carbons[index],
            self.hinges[index],
            self.sulfurs[index],
            self.lengths[index],
        )

    def to(self, device: torch.device) -> Skeleton:
        return Skeleton(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class Kind:
    """Of a chain, what all its frames share."""

    own: Rigid  # (L,): the structure's rigids
    sides: Tensor  # (S,): its chi1 of cysteines in disulfides
    planar: Tensor  # (K,): the planar omega next to the structure's own, 0 for cis and pi for trans
    reach: Tensor  # (K,): how far omega may be from it
    halves: Tensor  # (S,) int: cysteines in disulfides, by twos
    is_cyclic: bool

    @classmethod
    def of(cls, template: AllAtomTemplate, device: torch.device) -> Kind:
        halves, planar = torch.as_tensor(_halves(template)), planar_omega(template)
        chi1, omega = template.torsions[halves, _CHI1], template.torsions[:, _OMEGA].roll(-1, 0)[: len(planar)]
        reach = torch.full_like(planar, OMEGA_REACH)
        if template.chain.is_cyclic:  # a small ring is strained: what its structure needs has to be in reach
            bent = wrapped(torch.atan2(omega[:, 0], omega[:, 1]) - planar).abs()
            reach = torch.maximum(reach, bent)
        return cls(
            template.chain_rigids(template.torsions).to(device),
            torch.atan2(chi1[:, 0], chi1[:, 1]).to(device),
            planar.to(device),
            reach.to(device),
            halves.to(device),
            template.chain.is_cyclic,
        )


def planar_omega(template: AllAtomTemplate) -> Tensor:
    own = template.torsions[:, _OMEGA, 1].roll(-1)[: template.links.rigids.shape[1]]
    return torch.where(own > 0, 0.0, math.pi).double()


def _lengths(template: AllAtomTemplate) -> Tensor:
    """(D, 3) ångström: of each disulfide of the structure, SG-SG and the distance from each CB to the other SG."""
    chain = template.chain
    atoms = to_angstrom(template.place(template.chain_rigids(template.torsions), template.torsions))
    places = np.searchsorted(chain.atom_indices, chain.atom14_index[:, [_CB, _SG]])[_halves(template)].reshape(-1, 2, 2)
    (cb1, sg1), (cb2, sg2) = (atoms[torch.as_tensor(places[:, k].T)] for k in (0, 1))
    return torch.stack([(sg1 - sg2).norm(dim=-1), (cb1 - sg2).norm(dim=-1), (cb2 - sg1).norm(dim=-1)], dim=-1)


def _halves(template: AllAtomTemplate) -> np.ndarray:
    return np.array(template.chain.disulfides, dtype=np.int64).reshape(-1)
