"""All atoms of generated frames: whole, without overlaps, and meeting the frames that were given.

A network generates a rigid for each residue, and torsions. `Backbone` says how the two place the backbone.

Axes: ``R`` trajectories, ``T`` frames, ``L`` residues, ``n`` atoms of the chain. Ångström in, nanometre out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from openmm_mdgen.arguments import valid_choice
from openmm_mdgen.geometry.atom14 import backbone_points
from openmm_mdgen.geometry.rigid import Rigid, between, superposition
from openmm_mdgen.geometry.units import moved
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.blending import blended
from openmm_mdgen.molecule.clashes import relieve_clashes
from openmm_mdgen.molecule.nearest import nearest_apart, nearest_between, nearest_chain
from openmm_mdgen.molecule.proline import limit_puckers
from openmm_mdgen.molecule.template import AllAtomTemplate

_FRAMES_AT_ONCE, _ATOMS_AT_ONCE = 5000, 500_000  # of one trajectory: a matrix of each atom is held in memory


@dataclass(frozen=True, eq=False)
class Placed:
    """Atoms of generated frames."""

    atoms: Float[Tensor, "*batch n 3"]  # nm
    is_valid: Bool[Tensor, "*batch"]  # False for frames that are no chain of the molecule

    @classmethod
    def all_valid(cls, atoms: Tensor) -> Placed:
        """Frames of which nothing can be wrong but what the network gave."""
        return cls(atoms, torch.ones(atoms.shape[:-2], dtype=torch.bool, device=atoms.device))


class Backbone(ABC):
    """How the generated numbers place the backbone, and what that asks of the torsions."""

    # What is wrong with frames that are not valid.
    fault = "the chain cannot be fitted to the generated rigids, or not with its disulfides and ends closed"

    @abstractmethod
    def settled(self, template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"]) -> Tensor:
        """Torsions that can be placed: proline rings within reach of closing and, where possible, overlaps lifted."""

    @abstractmethod
    def place_settled(
        self, template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"]
    ) -> Placed:
        """Atoms with the geometry of one structure, given generated rigids and settled torsions."""

    @abstractmethod
    def place_between(
        self,
        first: AllAtomTemplate,
        second: AllAtomTemplate,
        rigids: Rigid,
        torsions: Float[Tensor, "*batch T L 7 2"],
        share: Float[Tensor, " T"],
    ) -> Placed:
        """Atoms whose bond lengths and angles go from those of one structure (share 0) to those of another (1).

        Rigids and torsions of the first structure with share 0, and of the second with share 1, give these structures.
        """

    def place(self, template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "R T L 7 2"]) -> Placed:
        """Atoms with the geometry of one structure."""
        pieces = []
        n = min(_FRAMES_AT_ONCE, max(1, _ATOMS_AT_ONCE // len(template.chain.atom_indices)))
        for start in range(0, torsions.shape[1], n):
            part = slice(start, start + n)
            turned = self.settled(template, torsions[:, part])
            pieces.append(self.place_settled(template, rigids[:, part], turned))
        return Placed(torch.cat([p.atoms for p in pieces], dim=1), torch.cat([p.is_valid for p in pieces], dim=1))


@dataclass(frozen=True)
class BackboneFromTorsions(Backbone):
    """The chain is built of its torsions, so that it holds together exactly, and laid over the generated rigids.

    Errors of torsions add up along the chain: this is for peptides. Where disulfides or a bond between its ends close
    the chain, it is the closed chain that lies closest to the one that its torsions make.

    Parameters
    ----------
    turns_caps : bool
        Whether phi of a capped first residue may be turned to lift an overlap. It may not where the weights do not
        generate it and it keeps the start's value.
    """

    turns_caps: bool = True

    def settled(self, template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"]) -> Tensor:
        return relieve_clashes(template, limit_puckers(template, torsions), turns_caps=self.turns_caps)

    def place_settled(
        self, template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"]
    ) -> Placed:
        chain = laid_over(template.chain_rigids(torsions), rigids)
        if template.chain.is_open:
            return Placed.all_valid(template.place(chain, torsions))
        # Closing turns the chain, and what lifts overlaps opens it: so it is closed, and closed once more at the end.
        torsions = self.settled(template, nearest_chain(template, chain, torsions).torsions)
        chain = laid_over(template.chain_rigids(torsions), rigids)
        return BackboneFitted().place_settled(template, chain, torsions)

    def place_between(
        self,
        first: AllAtomTemplate,
        second: AllAtomTemplate,
        rigids: Rigid,
        torsions: Float[Tensor, "*batch T L 7 2"],
        share: Float[Tensor, " T"],
    ) -> Placed:
        if not first.chain.is_open:
            chain = laid_over(first.chain_rigids(torsions), rigids)
            return BackboneFitted().place_between(first, second, chain, torsions, share)
        share = share.to(torsions)
        one = first.chain_rigids(torsions)
        # Nearly equal to the first; only what comes of both is laid over the generated rigids.
        two = laid_over(second.chain_rigids(torsions), one)
        atoms = blended(first.chain, first.place(one, torsions), second.place(two, torsions), share)
        points = backbone_points(between(one, two, share[:, None]))
        motion = superposition(points, backbone_points(rigids), torch.ones_like(points[..., 0]))
        return Placed.all_valid(moved(motion[..., None], atoms))


@dataclass(frozen=True)
class BackboneFromRigids(Backbone):
    """Each residue is placed by its generated rigid, as in the published model."""

    def settled(self, template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"]) -> Tensor:
        return limit_puckers(template, torsions)

    def place_settled(
        self, template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"]
    ) -> Placed:
        return Placed.all_valid(template.place(rigids, torsions))

    def place_between(
        self,
        first: AllAtomTemplate,
        second: AllAtomTemplate,
        rigids: Rigid,
        torsions: Float[Tensor, "*batch T L 7 2"],
        share: Float[Tensor, " T"],
    ) -> Placed:
        share = share.to(torsions)
        one, two = first.place(rigids, torsions), second.place(rigids, torsions)
        return Placed.all_valid(blended(first.chain, one, two, share))


@dataclass(frozen=True)
class BackboneFitted(Backbone):
    """The chain is fitted to the generated rigids in its torsions: it holds together exactly, at any length.

    A frame is valid if the fit came to an end, however far from the rigids: wild rigids have no chain near them.
    """

    def settled(self, template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"]) -> Tensor:
        return limit_puckers(template, torsions)

    def place_settled(
        self, template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"]
    ) -> Placed:
        chain = nearest_apart(template, rigids, torsions)
        return Placed(template.place(chain.rigids, chain.torsions), chain.is_valid)

    def place_between(
        self,
        first: AllAtomTemplate,
        second: AllAtomTemplate,
        rigids: Rigid,
        torsions: Float[Tensor, "*batch T L 7 2"],
        share: Float[Tensor, " T"],
    ) -> Placed:
        chain = nearest_between(first, second, rigids, torsions, share)
        one, two = (template.place(chain.rigids, chain.torsions) for template in (first, second))
        return Placed(blended(first.chain, one, two, share.to(torsions)), chain.is_valid)


_KINDS: dict[str, Callable[[bool], Backbone]] = {
    "torsions": BackboneFromTorsions,
    "fitted": lambda _: BackboneFitted(),
    "rigids": lambda _: BackboneFromRigids(),
}
BACKBONES = tuple(_KINDS)  # names that `backbone_named` knows


def backbone_named(name: str, *, turns_caps: bool = True) -> Backbone:
    """The backbone of `ModelInfo.backbone`; `turns_caps` as in `BackboneFromTorsions`.

    Raises
    ------
    MDGenError
        If there is none of that name.
    """
    valid_choice("backbone", name, _KINDS)
    return _KINDS[name](turns_caps)
