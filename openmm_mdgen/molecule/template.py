"""All atoms of a molecule from backbone rigids and torsions, with the molecule's own bond lengths and angles.

Axes: any batch axes (frames), ``L`` residues, ``8`` rigid groups, ``7`` torsions as pairs (sin, cos), ``n`` atoms of
the chain. Lengths inside are in ångström; positions come and go in nanometre.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.atom14 import backbone_rigids, dihedral, group_rigids, table, torsions
from openmm_mdgen.geometry.residues import OMEGA_GROUP, PHI_GROUP, PSI_GROUP
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.geometry.units import to_angstrom, to_nm
from openmm_mdgen.molecule.backbone import PeptideLinks
from openmm_mdgen.molecule.chain import ProteinChain

_N, _CA, _C = range(3)
_OMEGA, _PHI = range(2)
_CB, _CG, _CD = (residues.ATOM14_NAMES["PRO"].index(name) for name in ("CB", "CG", "CD"))
_RING_CORNERS = ((_CB, _CG, _CD, _N), (_CB, _CA, _N, _CD))  # see `_RingCorner.atoms`
_LARGEST_BEND = 0.35  # rad
_SHORTEST_PAIR = 1e-6  # a (sin, cos) pair shorter than this has no direction


@dataclass(frozen=True, eq=False)
class AllAtomTemplate:
    """Where each atom of a chain lies in its rigid group, measured once from a relaxed structure.

    Placing atoms moves rigid groups only: bond lengths and angles inside and between the groups of a residue, and
    chirality, are those of the structure. Two exceptions: what joins residues (peptide bonds, disulfides) depends on
    the rigids and torsions, and the ring of PRO is closed by bending two of its angles (see `_bend_rings`).

    Examples
    --------
    >>> template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions)
    >>> frame = positions.copy()
    >>> frame[template.chain.atom_indices] = template.place(rigids, torsions)
    """

    chain: ProteinChain  # resolved by the structure's geometry
    default: Rigid  # (L, 8) float64: each group as `atom14.group_rigids` takes it, at torsion zero
    positions: Float[Tensor, "n 3"]  # float64, ångström: each atom in its group
    torsions: Float[Tensor, "L 7 2"]  # float64: the structure's own, (0, 1) where undefined
    ring_bonds: Float[Tensor, " P"]  # float64, ångström: N to CD of each PRO
    links: PeptideLinks  # float64, from each residue to the next

    @classmethod
    def measure(cls, chain: ProteinChain, positions: np.ndarray) -> AllAtomTemplate:
        """Take the geometry of a structure.

        Parameters
        ----------
        chain : ProteinChain
        positions : (N, 3), nm
            All atoms of the topology, energy-minimised in the force field to be used.

        Raises
        ------
        UnsupportedTopologyError, StateError
            As `ProteinChain.resolved`.
        """
        positions = np.asarray(positions, dtype=np.float64)
        chain = chain.resolved(positions)
        atom14 = chain.atom14(positions)
        aatype = torch.as_tensor(chain.aatype)
        rigids = backbone_rigids(atom14)
        before = chain.before(positions)
        own = torsions(aatype, atom14, before)
        own = torch.where(chain.torsion_mask[..., None] > 0, own / own.norm(dim=-1, keepdim=True), _no_turn(own))
        default = _default_frames(aatype, atom14, rigids)
        if before is not None and chain.n_cap is not None:
            default = _with_cap_frame(default, atom14, before, own)
        groups = _groups(chain, rigids, own, default)
        atoms = to_angstrom(torch.as_tensor(positions[chain.atom_indices]))
        rings = atom14[_prolines(chain)]
        ring_bonds = (rings[:, _CD] - rings[:, _N]).norm(dim=-1)
        links = PeptideLinks.measure(aatype, atom14, groups[:, PSI_GROUP], before if chain.is_cyclic else None)
        placed = _per_atom(torch.as_tensor(_group_of_atom(chain)), groups)
        return cls(chain, default, placed.inverse().apply(atoms), own, ring_bonds, links)

    def at(self, like: Tensor) -> AllAtomTemplate:
        """The template in the type and on the device of a tensor: many calls with such tensors copy nothing there."""
        if (self.positions.device, self.positions.dtype) == (like.device, like.dtype):
            return self
        return replace(
            self,
            default=self.default.to(like),
            positions=self.positions.to(like),
            torsions=self.torsions.to(like),
            ring_bonds=self.ring_bonds.to(like),
            links=PeptideLinks(self.links.rigids.to(like)),
        )

    def chain_rigids(self, torsions: Float[Tensor, "*batch L 7 2"]) -> Rigid:
        """Backbone rigids (..., L) from torsions, with the structure's own peptide bonds; the first at the origin."""
        return self.links.build(self._usable(torsions), self.default[:, PSI_GROUP].to(torsions))

    def place(self, rigids: Rigid, torsions: Float[Tensor, "*#batch L 7 2"]) -> Float[Tensor, "*#batch n 3"]:
        """Every atom of the chain, in the order of `chain.atom_indices`.

        Parameters
        ----------
        rigids : Rigid, (..., L)
            Backbone rigids, ångström, float32 or float64, on any device.
        torsions : Tensor
            (sin, cos) of any length. Where a torsion does not exist (see `ProteinChain.torsion_mask`) the pair is not
            read; a pair without a direction such as (0, 0) is replaced by the structure's own.

        Returns
        -------
        Tensor, nm. Values that are not finite stay so.
        """
        like = rigids.translation
        groups = _groups(self.chain, rigids, self._usable(torsions.to(like)), self.default.to(like))
        bent = _bend_rings(self.chain, groups, self.positions.to(like), self.ring_bonds.to(like))
        per_atom = _per_atom(self._group_of_atom, bent)
        # Sum of products: many times faster than one small matrix product per atom.
        turned = (per_atom.rotation * self.positions.to(like)[:, None, :]).sum(-1)
        return to_nm(_with_ring_hydrogens(self._ring_corners, turned + per_atom.translation))

    def state(self) -> dict[str, np.ndarray]:
        """What was measured, for checkpoints."""
        return {
            "atom14_index": self.chain.atom14_index,
            "default_rotation": self.default.rotation.numpy(),
            "default_translation": self.default.translation.numpy(),
            "positions": self.positions.numpy(),
            "torsions": self.torsions.numpy(),
            "ring_bonds": self.ring_bonds.numpy(),
            "link_rotation": self.links.rigids.rotation.numpy(),
            "link_translation": self.links.rigids.translation.numpy(),
        }

    @classmethod
    def from_state(cls, chain: ProteinChain, state: dict[str, np.ndarray]) -> AllAtomTemplate:
        """Inverse of `state`: places bit for bit as the template that was stored.

        Raises
        ------
        CheckpointError
            If the state was measured on another molecule than `chain`.
        """
        same = state["positions"].shape[0] == len(chain.atom_indices) and np.array_equal(
            np.sort(state["atom14_index"], axis=-1), np.sort(chain.atom14_index, axis=-1)
        )
        if not same:
            raise CheckpointError("the stored geometry is of another molecule: load the checkpoint of this topology")
        stored = {name: torch.tensor(value) for name, value in state.items() if name != "atom14_index"}
        return cls(
            chain=replace(chain, atom14_index=np.array(state["atom14_index"])),
            default=Rigid(stored["default_rotation"], stored["default_translation"]),
            positions=stored["positions"],
            torsions=stored["torsions"],
            ring_bonds=stored["ring_bonds"],
            links=PeptideLinks(Rigid(stored["link_rotation"], stored["link_translation"])),
        )

    @cached_property
    def _group_of_atom(self) -> Tensor:
        return torch.as_tensor(_group_of_atom(self.chain)).to(self.positions.device)

    @cached_property
    def _exists(self) -> Tensor:
        """(L, 7, 1) bool: which torsions do."""
        return (self.chain.torsion_mask[..., None] > 0).to(self.positions.device)

    @cached_property
    def _ring_corners(self) -> tuple[_RingCorner, ...]:
        return _ring_corners(self)

    def _usable(self, torsions: Tensor) -> Tensor:
        """(..., L, 7, 2) of unit length."""
        length = torsions.norm(dim=-1, keepdim=True)
        own = ~self._exists.to(torsions.device) | (length < _SHORTEST_PAIR)
        return torch.where(own, self.torsions.to(torsions), torsions / length.clamp_min(_SHORTEST_PAIR))


def _groups(chain: ProteinChain, rigids: Rigid, torsions: Tensor, default: Rigid) -> Rigid:
    """The rigid groups in space, (..., L, 8), with that of omega in a capped first residue.

    A cap's C lies in the phi group, like H of an inner N; what is bonded to that C turns with omega about C-N. So the
    omega group is carried by the phi group. No atom belongs to the omega group elsewhere.
    """
    groups = group_rigids(rigids, torsions, default)
    if chain.n_cap is None:
        return groups
    omega = groups[..., 0, PHI_GROUP] @ default[0, OMEGA_GROUP].turned(torsions[..., 0, _OMEGA, :])
    return groups.replaced((..., 0, OMEGA_GROUP), omega)


def _with_cap_frame(default: Rigid, atom14: Tensor, before: Tensor, torsions: Tensor) -> Rigid:
    """Default frames (L, 8) with that of omega in the first residue relative to its phi group, at omega zero."""
    phi = backbone_rigids(atom14)[0] @ default[0, PHI_GROUP].turned(torsions[0, _PHI])
    omega = Rigid.from_three_points(atom14[0, _N], before[1], atom14[0, _CA])
    return default.replaced((0, OMEGA_GROUP), phi.inverse() @ omega)


def _group_of_atom(chain: ProteinChain) -> np.ndarray:
    """(n,) int: the number of each atom's group among those of all residues."""
    return chain.atom_residue * residues.N_GROUPS + chain.atom_group


def _per_atom(group_of_atom: Tensor, groups: Rigid) -> Rigid:
    """The group of each atom in space, (..., L, 8) to (..., n)."""
    index = group_of_atom.to(groups.translation.device)
    return Rigid(
        groups.rotation.flatten(-4, -3).index_select(-3, index),
        groups.translation.flatten(-3, -2).index_select(-2, index),
    )


def _bend_rings(chain: ProteinChain, groups: Rigid, positions: Tensor, bonds: Tensor) -> Rigid:
    """Groups (..., L, 8) with the ring of each PRO closed: N-CD as long as in the structure, chi1 and chi2 as asked.

    Two torsions and fixed angles do not close a ring. The angles CA-CB-CG and CB-CG-CD are bent, by as little as is
    needed, about the normals of their own planes (the z axes of groups 4 and 5), which leaves both torsions as they
    are. A ring whose torsions are too far from any pucker of proline stays open, at the largest bend.
    """
    proline = torch.as_tensor(_prolines(chain)).to(groups.translation.device)
    if len(proline) == 0:
        return groups
    atom_n, atom_cd = (
        positions[np.searchsorted(chain.atom_indices, chain.atom14_index[_prolines(chain), slot])] for slot in (_N, _CD)
    )  # (P, 3) in groups 0 and 5
    # All that follows is in the coordinates of group 4, whose origin is CB: where N lies, and how group 5, whose origin
    # is CG, is placed in it.
    chi1, chi2 = groups[..., proline, 4], groups[..., proline, 5]
    step = chi1.inverse() @ chi2
    nitrogen = chi1.inverse().apply(groups[..., proline, 0].apply(atom_n))
    bend = torch.zeros_like(nitrogen[..., :2])
    for _ in range(4):  # Newton's method for one length in two angles, each time by the shortest step
        # CD as seen from each of the two atoms about which it is bent.
        first, second = _about_z(bend[..., 0]), _about_z(bend[..., 1])
        from_cg = first @ step.rotation @ second @ atom_cd[..., None]
        from_cb = first @ step.translation[..., None] + from_cg
        # The bond N-CD as it is now.
        gap = from_cb[..., 0] - nitrogen
        length = gap.norm(dim=-1, keepdim=True)
        # Bending by an angle moves CD along normal x arm; the part of it along the bond changes the length.
        normals = torch.stack([first[..., 2], (first @ step.rotation)[..., 2]], dim=-2)
        arms = torch.stack([from_cb[..., 0], from_cg[..., 0]], dim=-2)
        slope = (torch.linalg.cross(normals, arms) * gap[..., None, :]).sum(-1) / length
        # The shortest change of the angles that mends the length; where they hardly change it, a bounded one.
        change = (length - bonds[:, None]) * slope / (slope**2).sum(-1, keepdim=True).clamp_min(0.01)
        bend = (bend - change).clamp(-_LARGEST_BEND, _LARGEST_BEND)
    # Group 4 turns about its own origin; group 5 is carried along, then turned about its own.
    rotation, translation = groups.rotation.clone(), groups.translation.clone()
    rotation[..., proline, 4, :, :] = chi1.rotation @ _about_z(bend[..., 0])
    carried = Rigid(rotation[..., proline, 4, :, :], chi1.translation) @ step
    rotation[..., proline, 5, :, :] = carried.rotation @ _about_z(bend[..., 1])
    translation[..., proline, 5, :] = carried.translation
    return Rigid(rotation, translation)


@dataclass(frozen=True, eq=False)
class _RingCorner:
    """An atom where the two sides of a PRO's ring meet, with its hydrogens, as `atom_indices` counts them."""

    atoms: list[int]  # along the ring; the third is the corner, the fourth moves with the other side
    hydrogens: list[int]
    own: Tensor  # (): the dihedral angle of the four in the structure, radian, float64


def _ring_corners(template: AllAtomTemplate) -> tuple[_RingCorner, ...]:
    """Those that carry hydrogens: CD, and N where the chain begins with PRO and is not capped."""
    chain, found = template.chain, []
    for residue, slots in product(_prolines(chain), _RING_CORNERS):
        atoms = np.searchsorted(chain.atom_indices, chain.atom14_index[residue, list(slots)]).tolist()
        bonded = chain.bonds[(chain.bonds == atoms[2]).any(axis=1)].ravel()
        hydrogens = [k for k in bonded.tolist() if chain.is_hydrogen[k]]
        if hydrogens:
            found.append(_RingCorner(atoms, hydrogens, _own_dihedral(template, atoms)))
    return tuple(found)


def _own_dihedral(template: AllAtomTemplate, atoms: list[int]) -> Tensor:
    """The dihedral angle of four ring atoms in the structure itself, from where they lie in their groups."""
    residue = int(template.chain.atom_residue[atoms[0]])
    groups = template.default[residue]
    chi1 = groups[4].turned(template.torsions[residue, 3])
    places = {0: None, 4: chi1, 5: chi1 @ groups[5].turned(template.torsions[residue, 4])}
    found = []
    for atom in atoms:
        group = places[int(template.chain.atom_group[atom])]
        found.append(template.positions[atom] if group is None else group.apply(template.positions[atom]))
    return _angle(torch.stack(found))


def _with_ring_hydrogens(corners: tuple[_RingCorner, ...], atoms: Tensor) -> Tensor:
    """Atoms (..., n, 3) with the hydrogens on CD and N of each PRO about CG-CD and CA-N as in the structure.

    Those on CD are placed with CD, by chi1 and chi2, and know nothing of N on the other side of the ring; those on N
    are placed with the backbone and know nothing of CD. Where the pucker is not the structure's, the other side lies
    up to 60 degrees from where it was, and they turn after it.
    """
    for corner in corners:
        turn = _angle(atoms[..., corner.atoms, :]) - corner.own.to(atoms)
        before, centre = (atoms[..., corner.atoms[k], :] for k in (1, 2))
        axis = centre - before
        axis = (axis / axis.norm(dim=-1, keepdim=True))[..., None, :]
        arm = atoms[..., corner.hydrogens, :] - centre[..., None, :]
        cos, sin = turn.cos()[..., None, None], turn.sin()[..., None, None]
        along = (axis * arm).sum(-1, keepdim=True) * axis
        turned = along + cos * (arm - along) + sin * torch.linalg.cross(axis.expand_as(arm), arm)
        hydrogens = torch.as_tensor(corner.hydrogens, device=atoms.device)
        atoms = atoms.index_copy(-2, hydrogens, centre[..., None, :] + turned)
    return atoms


def _angle(points: Tensor) -> Tensor:
    """Dihedral angle of four points (..., 4, 3), radian."""
    return torch.atan2(*dihedral(points).unbind(-1))


def _prolines(chain: ProteinChain) -> np.ndarray:
    return np.flatnonzero(chain.aatype == residues.RESTYPE_INDEX["PRO"])


def _about_z(angle: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3)."""
    sin, cos, zero, one = angle.sin(), angle.cos(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=-1).unflatten(-1, (3, 3))


def _default_frames(aatype: Tensor, atom14: Tensor, rigids: Rigid) -> Rigid:
    """(L, 8): the groups relative to backbone or previous chi with every torsion at zero, identity where undefined.

    A group's x axis lies along its bond and ends at its origin; at torsion zero its y axis points to the first atom of
    the dihedral (for psi, measured to O and turned by half a circle, away from it).
    """
    n, ca, c = (atom14[:, k] for k in (_N, _CA, _C))
    phi = Rigid.from_three_points(ca, n, c)
    psi = Rigid.from_three_points(ca, c, 2 * ca - n)
    slots = table(residues.CHI_SLOTS, atom14)[aatype]  # (L, 4, 4)
    a0, a1, a2, a3 = atom14[torch.arange(len(aatype))[:, None, None], slots].unbind(-2)  # (L, 4, 3) each
    chi = Rigid.from_three_points(a1, a2, a0)
    chi_as_found = Rigid.from_three_points(a1, a2, a3)
    groups = Rigid.stack([rigids, rigids, phi, psi, *(chi[:, k] for k in range(4))])
    parents = Rigid.stack([rigids] * 5 + [chi_as_found[:, k] for k in range(3)])
    default = parents.inverse() @ groups
    exists = torch.cat([torch.ones_like(atom14[:, :4, 0]), table(residues.CHI_MASK, atom14)[aatype]], dim=-1) > 0
    return Rigid.where(exists, default, Rigid.identity(default.shape, atom14))


def _no_turn(like: Tensor) -> Tensor:
    """The pair (0, 1), shaped to broadcast against pairs."""
    return like.new_tensor([0.0, 1.0])
