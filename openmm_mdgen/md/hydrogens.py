"""Hydrogens: those of the form that a residue's name or its own hydrogens ask for, else those of a pH.

A *form* is a residue in one state of protonation, under AMBER's name.
"""

from __future__ import annotations

import io
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import openmm
from openmm import app, unit
from openmm.app import modeller

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.md.drafts import DISULFIDE, Draft, DraftResidue, few, nearest
from openmm_mdgen.md.stereochemistry import with_hydrogens_outside
from openmm_mdgen.md.systems import force_field
from openmm_mdgen.molecule import names

_one_at_a_time = threading.Lock()  # while Modeller has random numbers of its own
_LONGEST_BOND = 0.15  # nm, to hydrogen
_ONLY_INSIDE = ("ASH", "GLH", "LYN", "CYM")  # forms for which amber14 has no parameters at a free end of a chain
_MILD_PH = 5.0, 8.0  # between which these residues have the form of pH 7
_WITHOUT_HYDROGEN = {"CYM": "CYX"}  # OpenMM's Modeller has one name for both forms of CYS without one
# Forms by the numbers of hydrogens on some atoms.
_FORMS: dict[str, tuple[tuple[str, ...], dict[tuple[int, ...], str]]] = {
    "HIS": (("ND1", "NE2"), {(1, 0): "HID", (0, 1): "HIE", (1, 1): "HIP"}),
    "ASP": (("OD1", "OD2"), {(1, 0): "ASH", (0, 1): "ASH", (0, 0): "ASP"}),
    "GLU": (("OE1", "OE2"), {(1, 0): "GLH", (0, 1): "GLH", (0, 0): "GLU"}),
    "LYS": (("NZ",), {(2,): "LYN", (3,): "LYS"}),
    "CYS": (("SG",), {(0,): "CYX", (1,): "CYS"}),
}


def with_hydrogens(
    topology: app.Topology,
    positions: unit.Quantity,
    seed: int,
    *,
    ph: float = 7.0,
    forms: Sequence[str | None] | None = None,
) -> tuple[app.Topology, unit.Quantity]:
    """Add the hydrogens that are missing, by OpenMM's Modeller; what it leaves on the wrong side of a carbon is moved.

    Parameters
    ----------
    topology : openmm.app.Topology
        With all heavy atoms.
    positions : Quantity, (n_atoms, 3)
    seed : int
        Seed of the places from which hydrogens are minimised.
    ph : float
        pH for residues without a form.
    forms : sequence of str or None, optional
        Form of each residue.

    Returns
    -------
    topology : openmm.app.Topology
    positions : Quantity, (n_atoms, 3)
    """
    variants = None if forms is None else [_WITHOUT_HYDROGEN.get(form, form) if form else None for form in forms]
    _define_hydrogens()
    model = app.Modeller(topology, positions)
    with _random_of_modeller(seed):  # for the places from which hydrogens are minimised
        model.addHydrogens(pH=ph, variants=variants, platform=openmm.Platform.getPlatformByName("Reference"))
    made = np.array(model.positions.value_in_unit(unit.nanometer))
    given = {(atom.residue.index, atom.name) for atom in topology.atoms()}
    added = {a.index for a in model.topology.atoms() if (a.residue.index, a.name) not in given}
    return model.topology, with_hydrogens_outside(model.topology, made, among=added) * unit.nanometer


@cache
def _define_hydrogens() -> None:
    """Tell OpenMM's Modeller which hydrogens modified residues have, of which it knows none."""
    residues = ""
    for name, (_, hydrogens) in names.WITH_PARAMETERS.items():
        listed = "".join(f'<H name="{hydrogen}" parent="{carrier}"/>' for hydrogen, carrier in hydrogens.items())
        residues += f'<Residue name="{name}">{listed}</Residue>'
    app.Modeller.loadHydrogenDefinitions(io.StringIO(f"<Residues>{residues}</Residues>"))


def protonate(draft: Draft, *, ph: float, seed: int) -> tuple[app.Topology, np.ndarray, list[str]]:
    """Add the hydrogens that a draft lacks, and give those that it has the PDB's names.

    Parameters
    ----------
    draft : Draft
        With all heavy atoms under the PDB's names.
    ph : float
        pH for residues of which neither the name nor hydrogens say how they are protonated.
    seed : int
        Seed of the places of the hydrogens, which are then minimised.

    Returns
    -------
    topology : openmm.app.Topology
        Residues whose names ask for a form have AMBER's name of it.
    positions : (n_atoms, 3) nm
    notes : list of str
        What was changed, a line each.

    Raises
    ------
    UnsupportedTopologyError
        If a residue's name asks for a form that it cannot have.
    """
    bonded = _disulfides(draft)
    present = [_present_form(residue) for residue in draft.residues]
    _check_forms(draft, present, bonded)
    notes = _keep_ends_charged(draft, present, bonded, ph)
    wanted = [residue.variant or form for residue, form in zip(draft.residues, present, strict=True)]
    before = [len(residue.hydrogens) for residue in draft.residues]
    notes += _name_hydrogens(draft)
    topology, positions = draft.topology()
    agree = all(
        residue.variant is None or _WITHOUT_HYDROGEN.get(residue.variant, residue.variant) == form
        for residue, form in zip(draft.residues, present, strict=True)
    )
    if not agree or force_field().getUnmatchedResidues(topology):
        topology, positions = _complete(draft, wanted, ph, seed)
        notes += _told(draft, topology, before, ph)
    for residue, made in zip(draft.residues, topology.residues(), strict=True):
        made.name = residue.variant or made.name
    return topology, positions, notes


def _disulfides(draft: Draft) -> set[int]:
    """Identities of the residues whose sulfur is near enough to another one to be bonded to it."""
    sulfurs = [(residue, sulfur) for residue in draft.residues if (sulfur := residue.find("SG"))]
    return {
        id(residue)
        for residue, sulfur in sulfurs
        if any(owner is not residue and sulfur.distance(other) < DISULFIDE for owner, other in sulfurs)
    }


def _check_forms(draft: Draft, present: list[str | None], bonded: set[int]) -> None:
    """Refuse disulfides without a partner, and forms that amber14 does not have at a free end of a chain."""
    for residue in draft.residues:
        if residue.variant == "CYX" and id(residue) not in bonded:
            raise UnsupportedTopologyError(
                f"{residue} is named as one half of a disulfide, and no other sulfur is within {DISULFIDE:g} nm: name "
                "it CYS, or give its partner"
            )
    for k in _ends(draft):
        residue = draft.residues[k]
        if present[k] == "CYX" and id(residue) not in bonded and residue.variant is None:
            present[k] = None  # a thiolate, of which amber14 has none at an end either
        form = residue.variant or present[k]
        if form in _ONLY_INSIDE:
            raise UnsupportedTopologyError(
                f"{residue} is {form} at a free end of the chain, for which amber14 has no parameters: cap the chain "
                f"there, or name the residue {residue.name} and remove its hydrogens"
            )


def _keep_ends_charged(draft: Draft, present: list[str | None], bonded: set[int], ph: float) -> list[str]:
    """Give residues at free ends, where nothing else says their form, the only one that amber14 has there."""
    kept = []
    for k in _ends(draft):
        residue = draft.residues[k]
        if residue.name in ("ASP", "GLU", "LYS", "CYS") and id(residue) not in bonded:
            if not (present[k] or residue.variant):
                present[k] = residue.name
                kept.append(residue)
    if _MILD_PH[0] <= ph <= _MILD_PH[1] or not kept:
        return []
    return [f"at free ends of the chain amber14 has no form for pH {ph:g} of {few(kept)}: that of pH 7 is taken"]


def _ends(draft: Draft) -> list[int]:
    """Numbers of the first and the last residue of each chain."""
    numbers = {id(residue): k for k, residue in enumerate(draft.residues)}
    return sorted({numbers[id(residue)] for chain in draft.chains() for residue in (chain[0], chain[-1])})


def _present_form(residue: DraftResidue) -> str | None:
    """The form that the hydrogens of a residue make it; None where it has none, or they say nothing."""
    if residue.name not in _FORMS or not residue.hydrogens:
        return None
    places, forms = _FORMS[residue.name]
    owners = Counter(nearest(atom, residue.heavy)[0].name for atom in residue.hydrogens)
    if not owners.keys() - {"N"}:  # hydrogens on the backbone alone say nothing of the side chain
        return None
    return forms.get(tuple(owners[name] for name in places))


def _name_hydrogens(draft: Draft) -> list[str]:
    """Name hydrogens by the atoms that they are nearest to, in residues that have one whose name is not known.

    Those that are bonded to nothing, or more than their atom can have, are removed.
    """
    renamed, removed = [], []
    unknown = _with_unknown_hydrogens(draft)
    for residue in unknown:
        before = len(residue.atoms)
        _rename(residue)
        if len(residue.atoms) < before:
            removed.append(f"{residue.name} {residue.number}")
    still = _with_unknown_hydrogens(draft)
    for residue in still:
        residue.atoms = residue.heavy
        removed.append(f"{residue.name} {residue.number}")
    renamed = [f"{residue.name} {residue.number}" for residue in unknown if residue not in still]
    notes = [f"hydrogens renamed by the atoms that they are bonded to: {few(renamed)}"] if renamed else []
    return notes + ([f"hydrogens that cannot be told are replaced: {few(removed)}"] if removed else [])


def _with_unknown_hydrogens(draft: Draft) -> list[DraftResidue]:
    topology, _ = draft.topology()
    bonded = {atom.index for bond in topology.bonds() for atom in bond}
    return [
        residue
        for residue, made in zip(draft.residues, topology.residues(), strict=True)
        if any(atom.index not in bonded and atom.element is app.element.hydrogen for atom in made.atoms())
    ]


def _rename(residue: DraftResidue) -> None:
    """Give hydrogens the PDB's names for those of the heavy atom that each is nearest to."""
    heavy = residue.heavy
    parents = {id(atom): nearest(atom, heavy) for atom in residue.hydrogens}
    residue.atoms = [a for a in residue.atoms if not a.is_hydrogen or parents[id(a)][1] < _LONGEST_BOND]
    for parent in heavy:
        own = [atom for atom in residue.hydrogens if parents[id(atom)][0] is parent]
        for atom, name in zip(own, names.hydrogens(parent.name, len(own), residue.name), strict=True):
            atom.name = name


def _complete(draft: Draft, wanted: list[str | None], ph: float, seed: int) -> tuple[app.Topology, np.ndarray]:
    """The topology with all hydrogens; those of residues that do not match the force field then are added anew."""
    for _ in range(2):
        topology, positions = draft.topology()
        made, quantity = with_hydrogens(topology, positions * unit.nanometer, seed, ph=ph, forms=wanted)
        unmatched = {residue.index for residue in force_field().getUnmatchedResidues(made)}
        if not unmatched:
            break
        for k in unmatched:
            draft.residues[k].atoms = draft.residues[k].heavy
    return made, quantity.value_in_unit(unit.nanometer)


def _told(draft: Draft, topology: app.Topology, before: list[int], ph: float) -> list[str]:
    """Notes of how many hydrogens were added and removed, and of the forms that names asked for."""
    after = [sum(a.element is app.element.hydrogen for a in residue.atoms()) for residue in topology.residues()]
    added = sum(max(0, n - m) for n, m in zip(after, before, strict=True))
    removed = sum(max(0, m - n) for n, m in zip(after, before, strict=True))
    by_name = [f"{residue.variant} {residue.number}" for residue in draft.residues if residue.variant]
    as_named = f", {few(by_name)} as named" if by_name else ""
    notes = [f"{added} hydrogen{'s' * (added > 1)} added for pH {ph:g}{as_named}"] if added else []
    return notes + ([f"{removed} hydrogen{'s' * (removed > 1)} removed"] if removed else [])


@contextmanager
def _random_of_modeller(seed: int) -> Iterator[None]:
    """Give Modeller random numbers of its own for a while.

    It asks Python's global generator, which other threads ask too: those of a dask worker, for one.
    """
    with _one_at_a_time:
        shared = modeller.random
        modeller.random = random.Random(seed)
        try:
            yield
        finally:
            modeller.random = shared
