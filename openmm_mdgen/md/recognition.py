"""Recognition of what a file holds: protein residues under any program's names, and what is not protein."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher

from pdbfixer.pdbfixer import substitutions

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.md.drafts import Draft, DraftAtom, DraftResidue, few, nearest
from openmm_mdgen.molecule import names

_BOND = 0.19  # nm: heavy atoms of two residues that are nearer are bonded; metals are farther away
_SECOND = "a second chain begins at"
_BACKBONE = ("N", "CA", "C")
# CHARMM's caps within a residue: the atoms that stand for them there, and their names in a cap of its own.
_ACETYL = {"CAY": "CH3", "CY": "C", "OY": "O"}
_AMIDE = {"NT": "N", "CAT": "C"}


def keep_protein(draft: Draft) -> list[str]:
    """Remove solvent, ions and ligands.

    Raises
    ------
    UnsupportedTopologyError
        If there is no amino acid, or there are nucleic acids, D residues, amino acids that are not known, or other
        molecules that are bonded to the chain.
    """
    _refuse_foreign(draft)
    kept = [residue for residue in draft.residues if _is_protein(residue)]
    if not any(parent(residue.name) for residue in kept):
        held = Counter(residue.name for residue in draft.residues)
        raise UnsupportedTopologyError(
            f"it holds no amino acid, but {_listed(held)}: give a structure with one protein chain"
        )
    removed = [residue for residue in draft.residues if not _is_protein(residue)]
    _refuse_attached(kept, removed)
    draft.residues = kept
    kinds = {"water": Counter[str](), "ion": Counter[str](), "other molecule": Counter[str]()}
    for residue in removed:
        kind = (
            "water" if residue.name.upper() in names.WATERS else "ion" if len(residue.atoms) == 1 else "other molecule"
        )
        kinds[kind][residue.name] += 1
    told = [
        f"{n} {kind}{'s' if n > 1 else ''} ({', '.join(found)})"
        for kind, found in kinds.items()
        if (n := found.total())
    ]
    return [f"removed: {', '.join(told)}"] if told else []


def parent(name: str) -> str | None:
    """The standard residue that a residue stands for, by our tables or PDBFixer's."""
    return names.parent(name) or (None if name.upper() in names.D_RESIDUES else substitutions.get(name))


def standard_names(draft: Draft) -> list[str]:
    """Give residues, caps and heavy atoms the PDB's names; modified residues become the standard ones they extend.

    Which form of a residue its name asks for, such as HIP or ASH, is kept as the residue's `variant`.
    """
    _take_caps_apart(draft)
    renamed, replaced, atoms = [], [], []
    for residue in draft.residues:
        written = residue.name
        cap = names.CAP_ALIASES.get(written.upper())
        if cap is not None:
            residue.name = cap
            _name_cap_atoms(residue)
            continue
        form, standard = names.variant(written), parent(written)
        assert standard is not None
        residue.name = written.upper() if written.upper() in names.WITH_PARAMETERS else standard
        if residue.name != standard:
            continue
        if form is None:
            replaced.append(f"{written} {residue.number} becomes {standard}")
        elif written.upper() not in (standard, form):
            renamed.append(f"{written} {residue.number} is {form}")
        if form is not None and (form != standard or written.upper()[-3:] != standard):
            residue.variant = form
        for atom in residue.heavy:
            name = names.heavy_atom(atom.name, standard)
            if name != atom.name and residue.find(name) is None:
                atoms.append(f"{atom.name} of {residue.name} {residue.number} is {name}")
                atom.name, atom.element = name, "S" if name == "SD" else atom.element
        if form is None:
            _keep_parent_atoms(residue)
    notes = [f"residues renamed: {few(renamed)}"] if renamed else []
    notes += [f"modified residues without parameters in amber14: {few(replaced)}"] if replaced else []
    return notes + ([f"atoms renamed: {few(atoms)}"] if atoms else [])


def replace_at_starts(draft: Draft) -> list[str]:
    """Make standard residues of modified ones that begin a chain, where amber14 has no parameters for them."""
    replaced = []
    for chain in draft.chains():
        residue, standard = chain[0], parent(chain[0].name)
        if residue.name in names.WITH_PARAMETERS and standard is not None:
            replaced.append(f"{residue} becomes {standard}")
            residue.name = standard
            _keep_parent_atoms(residue)
    if not replaced:
        return []
    return [f"modified residues without parameters in amber14 at the start of a chain: {few(replaced)}"]


def join_bonded(draft: Draft) -> list[str]:
    """Make one chain of what a file parts within a chain: residues of one identifier whose C and N are bonded.

    Some programs part a chain at a modified residue.
    """
    joined, segment, written = [], -1, None
    previous: DraftResidue | None = None
    for residue in draft.residues:
        begins, written = residue.segment != written, residue.segment
        if begins and previous is not None and _bonded(previous, residue):
            joined.append(f"{previous} and {residue}")
            begins = False
        segment += begins
        residue.segment = segment
        previous = residue
    return [f"parted by the file, but bonded and of one chain: {few(joined)}"] if joined else []


def _bonded(first: DraftResidue, second: DraftResidue) -> bool:
    c, n = first.find("C"), second.find("N")
    if c is None or n is None or first.chain != second.chain or _ends(first):
        return False
    return c.distance(n) < _BOND


def split_chains(draft: Draft) -> list[str]:
    """Begin a new chain after each OXT and each cap of a C terminus, and before each cap of an N terminus."""
    began, shift = [], 0
    previous: DraftResidue | None = None
    segment = None
    for residue in draft.residues:
        follows = previous is not None and residue.segment == segment
        segment = residue.segment
        if follows and previous is not None and (_ends(previous) or residue.name in ("ACE", "FOR")):
            shift += 1
            after = "the OXT of " if previous.find("OXT") else ""
            began.append(f"{_SECOND} {residue}, after {after}{previous}: the TER between them is missing")
        residue.segment += shift
        previous = residue
    return began


def require_one_chain(draft: Draft, notes: Iterable[str]) -> None:
    """Refuse several chains, with the note that tells where a second one begins."""
    chains = draft.chains()
    if len(chains) > 1:
        starts = " and ".join(
            f"{chain[0]} (chain {chain[0].chain.strip() or 'without a name'})" for chain in chains[:3]
        )
        why = "".join(f"{note}. " for note in notes if note.startswith(_SECOND))
        raise UnsupportedTopologyError(
            f"{why}There are {len(chains)} protein chains, which begin at {starts}, and one is taken: remove the "
            "others, or have each generated by itself (run --each-chain)"
        )


def _ends(residue: DraftResidue) -> bool:
    return residue.name in ("NME", "NH2") or residue.find("OXT") is not None


def _is_protein(residue: DraftResidue) -> bool:
    return residue.name.upper() in names.CAP_ALIASES or parent(residue.name) is not None


def _refuse_foreign(draft: Draft) -> None:
    """Refuse nucleic acids, D residues and amino acids that are not known."""
    for residue in draft.residues:
        if residue.name.upper() in names.D_RESIDUES:
            raise UnsupportedTopologyError(
                f"{residue} is D-{names.D_RESIDUES[residue.name.upper()]}: only L amino acids are known"
            )
        if residue.name in names.NUCLEOTIDES and len(residue.atoms) > 1:
            raise UnsupportedTopologyError(
                f"{residue} is of a nucleic acid, and only proteins are known: remove it where it is not needed"
            )
        if not _is_protein(residue) and all(residue.find(name) for name in _BACKBONE):
            raise UnsupportedTopologyError(
                f"{residue} is an amino acid that is not known, nor which standard one it extends: replace it by one "
                "of the 20"
            )


def _refuse_attached(kept: Iterable[DraftResidue], removed: Iterable[DraftResidue]) -> None:
    """Refuse molecules that would be removed but are bonded to the chain."""
    chain = [(atom, residue) for residue in kept for atom in residue.heavy]
    owners = {id(atom): residue for atom, residue in chain}
    others = [residue for residue in removed if len(residue.heavy) > 1]
    for residue in others:
        for atom in residue.heavy:
            found, distance = nearest(atom, [a for a, _ in chain])
            if distance < _BOND:
                raise UnsupportedTopologyError(
                    f"{residue}, atom {atom.name} is bonded to {owners[id(found)]}, atom {found.name} ({distance:.2f} "
                    "nm): molecules that are attached to the chain are not known; remove it if the chain is of use "
                    "without it"
                )


def _keep_parent_atoms(residue: DraftResidue) -> None:
    """Drop the atoms of a modified residue that its parent lacks, and all its hydrogens."""
    from openmm_mdgen.geometry.residues import ATOM14_NAMES

    known = {*ATOM14_NAMES[residue.name], "OXT"}
    residue.atoms = [atom for atom in residue.heavy if atom.name in known]


def _take_caps_apart(draft: Draft) -> None:
    """Make residues of their own out of caps that CHARMM writes within the first and the last residue."""
    residues: list[DraftResidue] = []
    for residue in draft.residues:
        before = _taken(residue, "ACE", _ACETYL)
        methylated = residue.find("CAT") is not None
        after = _taken(residue, "NME" if methylated else "NH2", _AMIDE)
        residues += [part for part in (before, residue, after) if part is not None]
    draft.residues = residues


def _taken(residue: DraftResidue, name: str, atoms: dict[str, str]) -> DraftResidue | None:
    """Take some heavy atoms, with the hydrogens nearest to them, out of a residue."""
    moved = [atom for atom in residue.atoms if atom.name in atoms]
    if not moved or parent(residue.name) is None:
        return None
    heavy = residue.heavy
    moved += [atom for atom in residue.hydrogens if nearest(atom, heavy)[0] in moved]
    residue.atoms = [atom for atom in residue.atoms if atom not in moved]
    number = (
        int(residue.number) + (-1 if name == "ACE" else 1) if residue.number.lstrip("-").isdigit() else residue.number
    )
    cap = DraftResidue(name, str(number), "", residue.chain, residue.segment)
    cap.atoms = [atom for atom in moved]
    for atom in cap.atoms:
        atom.name = atoms.get(atom.name, atom.name)
    return cap


def _name_cap_atoms(residue: DraftResidue) -> None:
    """Name a cap's heavy atoms by their elements and distances, as their names differ from program to program."""
    by_element = {symbol: [a for a in residue.heavy if a.element == symbol] for symbol in "CNO"}
    for symbol in "NO":
        for atom in by_element[symbol]:
            atom.name = symbol
    carbons: list[DraftAtom] = by_element["C"]
    if residue.name == "ACE" and len(carbons) == 2 and by_element["O"]:
        carbonyl, _ = nearest(by_element["O"][0], carbons)
        for atom in carbons:
            atom.name = "C" if atom is carbonyl else "CH3"
    elif len(carbons) == 1:
        carbons[0].name = "C"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.most_common(4)) or "no residue"


def missing_residues(draft: Draft) -> list[str]:
    """Tell of residues that a file says its chains have (SEQRES), and gives no atoms of.

    Chains are aligned by the names of their residues; what differs by name alone is not told.
    """
    told = []
    for chain in dict.fromkeys(residue.chain for residue in draft.residues):
        there = [residue for residue in draft.residues if residue.chain == chain]
        stated = draft.stated.get(chain, [])
        ours, theirs = [_stands_for(r.name) for r in there], [_stands_for(name) for name in stated]
        for kind, first, last, start, end in SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes():
            lacking = last - first - (end - start)
            if kind == "equal" or lacking <= 0:
                continue
            where = f"before {there[end]}" if end < len(there) else f"after {there[-1]}"
            number = "" if end == start else f"{lacking} of "
            told.append(f"{number}{few(stated[first:last])} {where}")
    if not told:
        return []
    return [f"the file names residues that it has no atoms of, and the chain is without them: {'; '.join(told)}"]


def _stands_for(name: str) -> str:
    return names.CAP_ALIASES.get(name.upper()) or parent(name) or name
