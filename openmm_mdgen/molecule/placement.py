"""All atoms of generated frames: whole, without overlaps, and meeting the frames that were given.

A network generates a rigid for each residue, and torsions. `Backbone` says which of the two place the backbone.

Axes: ``R`` trajectories, ``T`` frames, ``L`` residues, ``n`` atoms of the chain. Ångström in, nanometre out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry.atom14 import backbone_points
from openmm_mdgen.geometry.rigid import Rigid, between, superposition
from openmm_mdgen.geometry.units import moved
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.blending import blended
from openmm_mdgen.molecule.clashes import relieve_clashes
from openmm_mdgen.molecule.proline import limit_puckers
from openmm_mdgen.molecule.template import AllAtomTemplate

_FRAMES_AT_ONCE = 5000  # of one trajectory: a matrix of each atom is held in memory


class Backbone(ABC):
    """Which of the generated numbers place the backbone, and what that asks of the torsions."""

    @abstractmethod
    def settled(self, template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"]) -> Tensor:
        """Torsions that can be placed: proline rings within reach of closing and, where possible, overlaps lifted."""

    @abstractmethod
    def _rigids(self, template: AllAtomTemplate, torsions: Tensor, near: Rigid) -> Rigid:
        """The residues' rigids (..., L) in space, given the settled torsions and the generated rigids."""

    @abstractmethod
    def place_between(
        self,
        first: AllAtomTemplate,
        second: AllAtomTemplate,
        rigids: Rigid,
        torsions: Float[Tensor, "*batch T L 7 2"],
        share: Float[Tensor, " T"],
    ) -> Float[Tensor, "*batch T n 3"]:
        """Atoms whose bond lengths and angles go from those of one structure (share 0) to those of another (1).

        Rigids and torsions of the first structure with share 0, and of the second with share 1, give these structures.
        """

    def place(
        self, template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "R T L 7 2"]
    ) -> Float[Tensor, "R T n 3"]:
        """Atoms with the geometry of one structure."""
        pieces = []
        for start in range(0, torsions.shape[1], _FRAMES_AT_ONCE):
            part = slice(start, start + _FRAMES_AT_ONCE)
            turned = self.settled(template, torsions[:, part])
            pieces.append(template.place(self._rigids(template, turned, rigids[:, part]), turned))
        return torch.cat(pieces, dim=1)


@dataclass(frozen=True)
class BackboneFromTorsions(Backbone):
    """The chain is built of its torsions, so that it holds together exactly, and laid over the generated rigids.

    Errors of torsions add up along the chain: this is for peptides.

    Parameters
    ----------
    turns_caps : bool
        Whether phi of a capped first residue may be turned to lift an overlap. It may not where the weights do not
        generate it and it keeps the start's value.
    """

    turns_caps: bool = True

    def settled(self, template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"]) -> Tensor:
        return relieve_clashes(template, limit_puckers(template, torsions), turns_caps=self.turns_caps)

    def _rigids(self, template: AllAtomTemplate, torsions: Tensor, near: Rigid) -> Rigid:
        return laid_over(template.chain_rigids(torsions), near)

    def place_between(
        self,
        first: AllAtomTemplate,
        second: AllAtomTemplate,
        rigids: Rigid,
        torsions: Float[Tensor, "*batch T L 7 2"],
        share: Float[Tensor, " T"],
    ) -> Float[Tensor, "*batch T n 3"]:
        share = share.to(torsions)
        one = first.chain_rigids(torsions)
        # Nearly equal to the first; only what comes of both is laid over the generated rigids.
        two = laid_over(second.chain_rigids(torsions), one)
        atoms = blended(first.chain, first.place(one, torsions), second.place(two, torsions), share)
        points = backbone_points(between(one, two, share[:, None]))
        motion = superposition(points, backbone_points(rigids), torch.ones_like(points[..., 0]))
        return moved(motion[..., None], atoms)


@dataclass(frozen=True)
class BackboneFromRigids(Backbone):
    """Each residue is placed by its generated rigid, as in the published model."""

    def settled(self, template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"]) -> Tensor:
        return limit_puckers(template, torsions)

    def _rigids(self, template: AllAtomTemplate, torsions: Tensor, near: Rigid) -> Rigid:
        return near

    def place_between(
        self,
        first: AllAtomTemplate,
        second: AllAtomTemplate,
        rigids: Rigid,
        torsions: Float[Tensor, "*batch T L 7 2"],
        share: Float[Tensor, " T"],
    ) -> Float[Tensor, "*batch T n 3"]:
        share = share.to(torsions)
        return blended(first.chain, first.place(rigids, torsions), second.place(rigids, torsions), share)


def backbone_named(name: str, *, turns_caps: bool = True) -> Backbone:
    """The backbone of `ModelInfo.backbone`: "torsions" or "rigids"; `turns_caps` as in `BackboneFromTorsions`."""
    if name not in ("torsions", "rigids"):
        raise ValueError(f"backbone is 'torsions' or 'rigids', not {name!r}")
    return BackboneFromTorsions(turns_caps) if name == "torsions" else BackboneFromRigids()
