"""Bonds that close a chain, where only the positions of its atoms say so.

PDB files without CONECT records, and readers that do not know a name, leave out disulfides and the peptide bond between
the ends of a cyclic peptide. Atoms that near are bonded, unless they carry what bonded atoms do not. Nanometre.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.residues import PHI_GROUP
from openmm_mdgen.molecule.positions import Bonded, describe_atom

_DISULFIDE, _PEPTIDE_BOND = 0.25, 0.17  # nm: S to S, C to N; atoms that are not bonded are farther apart
_SG = residues.ATOM14_NAMES["CYS"].index("SG")
_N, _C = 0, 2


class Closable(Bonded, Protocol):
    """What is asked of a chain, a frozen dataclass: fields of `ProteinChain`, which builds on this module."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def sequence(self) -> str: ...

    @property
    def atom14_index(self) -> np.ndarray: ...

    @property
    def atom_group(self) -> np.ndarray: ...

    @property
    def bonds(self) -> np.ndarray: ...

    @property
    def residue_labels(self) -> tuple[str, ...]: ...

    @property
    def n_cap(self) -> str | None: ...

    @property
    def c_cap(self) -> str | None: ...

    @property
    def disulfides(self) -> tuple[tuple[int, int], ...]: ...

    @property
    def is_cyclic(self) -> bool: ...

    @property
    def half_cystines(self) -> tuple[int, ...]: ...


AnyChain = TypeVar("AnyChain", bound=Closable)


def closed(chain: AnyChain, positions: np.ndarray) -> AnyChain:
    """The chain with the bonds that its positions (N, 3) show and its topology lacks.

    Raises
    ------
    UnsupportedTopologyError
        If two atoms are as near as bonded ones but carry hydrogens or oxygen that bonded ones do not, a sulfur is near
        two others, or a cysteine that is named as half of a disulfide has no other sulfur near.
    """
    return _with_ends_joined(_with_disulfides(chain, positions), positions)


def _with_disulfides(chain: AnyChain, positions: np.ndarray) -> AnyChain:
    cysteines = [k for k, letter in enumerate(chain.sequence) if letter == "C"]
    sulfurs = {k: int(chain.atom14_index[k, _SG]) for k in cysteines}
    found = list(chain.disulfides)
    for first, second in combinations(cysteines, 2):
        apart = np.linalg.norm(positions[sulfurs[first]] - positions[sulfurs[second]])
        if apart >= _DISULFIDE or (first, second) in found:
            continue
        others = [k for pair in found for k in pair if k in (first, second)]
        hydrogens = [k for k in (first, second) if _hydrogens_on(chain, sulfurs[k])]
        if others or hydrogens:
            why = (
                f"{chain.residue_labels[others[0]]} is in a disulfide already"
                if others
                else f"SG of {chain.residue_labels[hydrogens[0]]} carries a hydrogen. Remove it if they are bonded"
            )
            raise UnsupportedTopologyError(
                f"{_described(chain, sulfurs[first])} and {_described(chain, sulfurs[second])} are {apart:.2f} nm "
                f"apart, as in a disulfide, but {why}; minimise the structure first if they are not."
            )
        found.append((first, second))
    open_halves = [k for k in chain.half_cystines if not any(k in pair for pair in found)]
    if open_halves:
        raise UnsupportedTopologyError(
            f"{chain.residue_labels[open_halves[0]]}: its name says that it is in a disulfide, and no other sulfur is "
            f"within {_DISULFIDE} nm. Name it CYS and add its hydrogen, or give the structure with its partner."
        )
    new = [pair for pair in found if pair not in chain.disulfides]
    bonds = [(sulfurs[first], sulfurs[second]) for first, second in new]
    return replace(_bonded(chain, bonds), disulfides=tuple(sorted(found))) if new else chain


def _with_ends_joined(chain: AnyChain, positions: np.ndarray) -> AnyChain:
    if chain.is_cyclic or len(chain.sequence) < 3 or chain.n_cap or chain.c_cap:
        return chain
    first, last = int(chain.atom14_index[0, _N]), int(chain.atom14_index[-1, _C])
    apart = np.linalg.norm(positions[first] - positions[last])
    if apart >= _PEPTIDE_BOND:
        return chain
    place = {int(atom): k for k, atom in enumerate(chain.atom_indices)}
    hydrogens = _hydrogens_on(chain, first)
    oxygens = [k for k in chain.graph.neighbours[place[last]] if chain.atom_names[k].startswith("O")]
    most = 0 if chain.sequence[0] == "P" else 1
    if len(hydrogens) > most or len(oxygens) > 1:
        what = f"N carries {len(hydrogens)} hydrogens" if len(hydrogens) > most else "C carries two oxygens"
        raise UnsupportedTopologyError(
            f"{_described(chain, first)} and {_described(chain, last)} are {apart:.2f} nm apart, as in a chain closed "
            f"head to tail, but {what}. Remove what the bond leaves no room for, or minimise the structure first if "
            "its ends are free."
        )
    # What hangs on N turns with the bond before it, as in an inner residue.
    group = chain.atom_group.copy()
    group[hydrogens] = PHI_GROUP
    return replace(_bonded(chain, [(last, first)]), is_cyclic=True, atom_group=group)


def _bonded(chain: AnyChain, pairs: list[tuple[int, int]]) -> AnyChain:
    """With bonds between atoms of the topology that it lacks."""
    added = np.searchsorted(chain.atom_indices, np.array(pairs, dtype=np.int64).reshape(-1, 2))
    return replace(chain, bonds=np.concatenate([chain.bonds, added]))


def _hydrogens_on(chain: Closable, atom: int) -> list[int]:
    """The chain's atoms, 0 to n - 1, that are hydrogens bonded to an atom of the topology."""
    k = int(np.searchsorted(chain.atom_indices, atom))
    return [other for other in chain.graph.neighbours[k] if chain.is_hydrogen[other]]


def _described(chain: Closable, atom: int) -> str:
    return describe_atom(chain, int(np.searchsorted(chain.atom_indices, atom)))
