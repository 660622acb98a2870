"""Heavy atoms that a file lacks: side chains and the last oxygen of the chain, built by PDBFixer."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.geometry.residues import ATOM14_NAMES
from openmm_mdgen.md.drafts import Draft, DraftAtom, DraftResidue
from openmm_mdgen.molecule import names
from openmm_mdgen.seeds import openmm_seed

_BACKBONE = ("N", "CA", "C")
_CA_CB = 0.153  # nm
_CAP_ATOMS = {"ACE": ("CH3", "C", "O"), "FOR": ("C", "O"), "NME": ("N", "C"), "NH2": ("N",)}


def add_heavy_atoms(draft: Draft, seed: int) -> list[str]:
    """Add the heavy atoms that are missing.

    Parameters
    ----------
    draft : Draft
        With the PDB's names.
    seed : int
        Seed of the places of the atoms, which are then minimised.

    Raises
    ------
    UnsupportedTopologyError
        If a residue lacks an atom of its backbone, has an atom that is not known, or has one twice.
    """
    missing = {id(residue): list(_missing(residue, draft)) for residue in draft.residues}
    lacking = [residue for residue in draft.residues if missing[id(residue)]]
    for residue in draft.residues:
        _check_atoms(residue, missing[id(residue)])
    notes = _check_end(draft, missing[id(draft.residues[-1])])
    if not lacking:
        return notes
    built = _completed(draft, seed)
    for residue, complete in zip(draft.residues, built.residues, strict=True):
        if residue in lacking:
            _add(residue, complete, missing[id(residue)])
    told = ", ".join(f"{', '.join(missing[id(r)])} of {r.name} {r.number}" for r in lacking[:6])
    more = f" and of {len(lacking) - 6} more residues" if len(lacking) > 6 else ""
    return [*notes, f"heavy atoms added: {told}{more}"]


def _check_end(draft: Draft, missing: list[str]) -> list[str]:
    """Refuse a file that ends within a residue, and tell of one that ends without OXT and says nothing of its end."""
    last = draft.residues[-1]
    if draft.open_end is not last or last.name in _CAP_ATOMS:
        return []
    side_chain = [name for name in missing if name != "OXT"]
    bare = not last.hydrogens and len(draft.residues) > 1 and all(r.hydrogens for r in draft.residues[:-1])
    if side_chain or bare:
        raise UnsupportedTopologyError(
            f"the file ends within {last}, which lacks {', '.join(side_chain) or 'its hydrogens'}: it seems to be cut "
            "short. Give the whole file, or, if this is all of it, add a last line END (.pdb) or # (.cif)"
        )
    if "OXT" not in missing:
        return []
    return [
        f"the file ends with {last}, and has no last line END (.pdb) or # (.cif): if it has been cut short, residues "
        "are missing"
    ]


def _missing(residue: DraftResidue, draft: Draft) -> Iterator[str]:
    last = any(chain[-1] is residue for chain in draft.chains())
    expected = list(_heavy_names(residue.name))
    if last and residue.name not in _CAP_ATOMS:
        expected.append("OXT")
    return (name for name in expected if residue.find(name) is None)


def _heavy_names(residue: str) -> tuple[str, ...]:
    """Names of the heavy atoms of a residue or cap, without the last oxygen."""
    if residue in _CAP_ATOMS:
        return _CAP_ATOMS[residue]
    extension, _ = names.WITH_PARAMETERS.get(residue, ((), {}))
    return (*filter(None, ATOM14_NAMES[names.parent(residue) or residue]), *extension)


def _check_atoms(residue: DraftResidue, missing: list[str]) -> None:
    extension, _ = names.WITH_PARAMETERS.get(residue.name, ((), {}))
    needed = [name for name in missing if name in (*_BACKBONE, *extension) or residue.name in _CAP_ATOMS]
    if needed:
        raise UnsupportedTopologyError(
            f"{residue} lacks {', '.join(needed)}: only side chains of the 20 amino acids and the last oxygen can be "
            "added, so complete it"
        )
    found = [atom.name for atom in residue.atoms]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise UnsupportedTopologyError(f"{residue} has atom {', '.join(twice)} more than once: keep one of them")
    known = {*_heavy_names(residue.name), "OXT"}
    extra = [atom.name for atom in residue.heavy if atom.name not in known]
    if extra:
        raise UnsupportedTopologyError(
            f"{residue} has atom {', '.join(extra)}, which is no atom of {residue.name}: remove what is attached, or "
            "name the residue by what it is"
        )


def _completed(draft: Draft, seed: int) -> Draft:
    """The draft with all heavy atoms and no hydrogens, but what modified residues have beyond their parents."""
    from pdbfixer import PDBFixer

    bare = Draft([_heavy(residue) for residue in draft.residues])
    for residue in bare.residues:
        _add_beta_carbon(residue)
    topology, positions = bare.topology()
    text = io.StringIO()
    app.PDBFile.writeFile(topology, positions * unit.nanometer, text, keepIds=True)
    text.seek(0)
    fixer = PDBFixer(pdbfile=text, platform=openmm.Platform.getPlatformByName("Reference"))
    fixer.missingResidues = {}
    fixer.findMissingAtoms()
    fixer.addMissingAtoms(seed=openmm_seed(seed))
    return Draft.of(fixer.topology, np.array(fixer.positions.value_in_unit(unit.nanometer)))


def _add_beta_carbon(residue: DraftResidue) -> None:
    """Add CB, where it is missing, on the side on which L amino acids have it: PDBFixer knows of no handedness."""
    if residue.name in ("GLY", *_CAP_ATOMS) or residue.find("CB") is not None:
        return
    n, ca, c = (atom.position for name in _BACKBONE if (atom := residue.find(name)) is not None)
    first, second = ((x - ca) / np.linalg.norm(x - ca) for x in (n, c))
    between, above = first + second, np.cross(first, second)
    direction = above / np.linalg.norm(above) * np.sqrt(2 / 3) - between / np.linalg.norm(between) * np.sqrt(1 / 3)
    residue.atoms.append(DraftAtom("CB", "C", ca + _CA_CB * direction))


def _heavy(residue: DraftResidue) -> DraftResidue:
    name = residue.name if residue.name in _CAP_ATOMS else names.parent(residue.name) or residue.name
    copy = DraftResidue(name, residue.number, residue.insertion_code, residue.chain, residue.segment)
    extension, _ = names.WITH_PARAMETERS.get(residue.name, ((), {}))
    copy.atoms = [atom for atom in residue.heavy if atom.name not in extension]
    return copy


def _add(residue: DraftResidue, complete: DraftResidue, missing: list[str]) -> None:
    """Put missing atoms behind the heavy atoms of a residue."""
    found = [complete.find(name) for name in missing]
    added = [DraftAtom(atom.name, atom.element, atom.position) for atom in found if atom is not None]
    last = max(k for k, atom in enumerate(residue.atoms) if not atom.is_hydrogen)
    residue.atoms[last + 1 : last + 1] = added
