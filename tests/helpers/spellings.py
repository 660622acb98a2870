"""Peptides under the names of each program, and with the faults and extras of files that people have: PDB texts."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import Bio.PDB
import openmm
import PeptideBuilder
from openmm import app, unit
from pdbfixer import PDBFixer

from openmm_mdgen.geometry.residues import ONE_TO_THREE
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import solvated
from pdb_texts import CHARMM, beside, moved, peptide_with, renamed, text_of, with_atoms_renamed
from structures import capped_peptide

DATA = Path(__file__).parent.parent / "data"


@cache
def peptide(sequence: str) -> str:
    """PDB text with all hydrogens, from the package's own builder."""
    return text_of(*build_peptide(sequence, seed=1))


@cache
def bare(sequence: str) -> str:
    """PDB text of heavy atoms."""
    modeller = app.Modeller(*build_peptide(sequence, seed=1))
    modeller.delete([atom for atom in modeller.topology.atoms() if atom.element is app.element.hydrogen])
    return text_of(modeller.topology, modeller.positions)


def atoms(text: str) -> list[str]:
    return [line for line in text.splitlines(keepends=True) if line.startswith(("ATOM", "HETATM"))]


def number(line: str) -> int:
    return int(line[22:26])


def name(line: str) -> str:
    return line[12:16].strip()


def position(line: str) -> list[float]:
    """Ångström."""
    return [float(line[k : k + 8]) for k in (30, 38, 46)]


def scaled(sequence: str, factor: float) -> str:
    """A peptide whose coordinates are those in ångström times a factor."""
    return "".join(
        line[:30] + "".join(f"{factor * value:8.3f}" for value in position(line)) + line[54:]
        for line in atoms(peptide(sequence))
    )


def without(text: str, condition: Callable[[str], bool]) -> str:
    return "".join(line for line in atoms(text) if not condition(line))


def in_residue(text: str, residue: int, change: Callable[[str], str]) -> str:
    """Change the lines of one residue, given by its number."""
    return "".join(change(line) if number(line) == residue else line for line in atoms(text))


def last_number(text: str) -> int:
    return number(atoms(text)[-1])


def atoms_renamed_in(text: str, residue: int, names: dict[str, str]) -> str:
    return in_residue(text, residue, lambda line: with_atoms_renamed(line, names))


def amber(sequence: str, forms: dict[int, str] | None = None) -> str:
    """AMBER's names: of the residues at the ends, of forms, and of the first hydrogen."""
    text = peptide(sequence)
    last = last_number(text)
    first_name, last_name = (atoms(text)[k][17:20] for k in (0, -1))
    text = atoms_renamed_in(text, 1, {"H": "H1"})
    text = renamed(renamed(text, 1, f"N{first_name}"), last, f"C{last_name}")
    for residue, form in (forms or {}).items():
        text = renamed(text, residue, form)
    return text


def charmm(sequence: str, forms: dict[int, str] | None = None) -> str:
    """CHARMM's names: HN, HB1 and HB2, HT1 to HT3, OT1 and OT2, CD of ILE."""
    text = peptide(sequence)
    text = atoms_renamed_in(text, 1, {"H": "HT1", "H2": "HT2", "H3": "HT3"})
    text = atoms_renamed_in(text, last_number(text), {"O": "OT1", "OXT": "OT2"})
    text = with_atoms_renamed(text, CHARMM)
    for residue, form in (forms or {}).items():
        text = renamed(text, residue, form)
    return text


def gromacs(sequence: str, forms: dict[int, str] | None = None) -> str:
    """GROMACS' names, and in each residue the hydrogens after the heavy atoms."""
    text = peptide(sequence)
    last = last_number(text)
    text = atoms_renamed_in(text, 1, {"H": "H1"})
    text = with_atoms_renamed(atoms_renamed_in(text, last, {"O": "O1", "OXT": "O2"}), CHARMM | {"H": "H"})
    text = "".join(sorted(atoms(text), key=lambda line: (number(line), line[76:78].strip() == "H")))
    for residue, form in (forms or {}).items():
        text = renamed(text, residue, form)
    return text


def gro(text: str) -> str:
    """The GROMACS file of a PDB text."""
    lines = ["made of a PDB file", f"{len(atoms(text)):5d}"]
    for k, line in enumerate(atoms(text), start=1):
        xyz = (float(line[c : c + 8]) / 10 for c in (30, 38, 46))
        place = "".join(f"{value:8.3f}" for value in xyz)
        lines.append(f"{number(line):5d}{line[17:21].strip():<5}{name(line):>5}{k:5d}{place}")
    return "\n".join([*lines, "   0.00000   0.00000   0.00000", ""])


def cif(sequence: str) -> str:
    file = io.StringIO()
    app.PDBxFile.writeFile(*build_peptide(sequence, seed=1), file, keepIds=True)
    return file.getvalue()


def with_form(form: str, written: str) -> str:
    return renamed(peptide_with(form), 2, written)


def capped(sequence: str, n_cap: str | None, c_cap: str | None, names: dict[str, str] | None = None) -> str:
    topology, positions = capped_peptide(sequence, n_cap, c_cap)
    text = "".join(atoms(text_of(topology, positions * unit.nanometer)))
    for old, new in (names or {}).items():
        text = text.replace(f" {old} ", f" {new} ")
    return text


# CHARMM's names of atoms of caps within the first and the last residue.
_WITHIN = {
    "ACE": {"CH3": "CAY", "C": "CY", "O": "OY", "H1": "HY1", "H2": "HY2", "H3": "HY3"},
    "NME": {"N": "NT", "H": "HNT", "C": "CAT", "H1": "HT1", "H2": "HT2", "H3": "HT3"},
    "NH2": {"N": "NT", "HN1": "HT1", "HN2": "HT2"},
}


def caps_within(sequence: str) -> str:
    """A peptide AKL with caps as CHARMM's patches write them, within the first and the last residue."""
    owner = {"ACE": "ALA A   2", "NME": "LEU A   4", "NH2": "LEU A   4"}
    lines = []
    for line in atoms(peptide(sequence)):
        cap = line[17:20]
        if cap in owner:
            line = with_atoms_renamed("ATOM  " + line[6:], _WITHIN[cap])
            line = line[:17] + owner[cap] + line[26:]
        lines.append(line)
    return "".join(lines)


def patched(sequence: str) -> tuple[app.Topology, unit.Quantity]:
    """The same as a topology, such as that of a .psf file, which has all bonds."""
    given, positions = build_peptide(sequence, seed=1)
    topology, made = app.Topology(), {}
    first, *inner, last = given.residues()
    chain = topology.addChain("A")
    for residue in inner:
        target = topology.addResidue(residue.name, chain, residue.id)
        for part in [first] * (residue is inner[0]) + [residue] + [last] * (residue is inner[-1]):
            for atom in part.atoms():
                name = _WITHIN.get(part.name, {}).get(atom.name, atom.name)
                made[atom] = topology.addAtom(name, atom.element, target)
    for a, b in given.bonds():
        topology.addBond(made[a], made[b])
    return topology, positions


def acid(sequence: str) -> str:
    """A carboxyl group at the end that carries its hydrogen."""
    lines = atoms(peptide(sequence))
    oxygen = next(line for line in lines if name(line) == "OXT")
    place = f"{float(oxygen[30:38]) + 0.96:8.3f}" + oxygen[38:54]
    return "".join(lines) + f"ATOM    900  HXT {oxygen[17:30]}{place}  1.00  0.00           H\n"


def modified(written: str, parent: str, names: dict[str, str], extra: dict[str, str]) -> str:
    """A modified residue in the second place, with its other atoms near those that carry them."""
    text = bare(f"A{next(one for one, three in ONE_TO_THREE.items() if three == parent)}GV")
    text = atoms_renamed_in(text, 2, names)
    lines = []
    for line in atoms(text):
        if number(line) == 3 and number(lines[-1]) == 2:
            for k, (atom, carrier) in enumerate(extra.items()):
                place = position(next(other for other in reversed(lines) if name(other) == carrier))
                place[k % 3] += 1.5
                xyz = "".join(f"{value:8.3f}" for value in place)
                lines.append(f"ATOM    90{k} {atom:^4} {parent} A   2    {xyz}  1.00  0.00           {atom[0]}\n")
        lines.append(line)
    text = renamed("".join(lines), 2, written)
    return in_residue(text, 2, lambda line: "HETATM" + line[6:])


def disulfide(written: str = "CYS") -> str:
    text = "".join(atoms((DATA / "cases" / "cggc.pdb").read_text()))
    return renamed(renamed(text, 1, written), 4, written)


def hetero(residue: str, *members: str, at: float = 30.0, chain: str = "B") -> str:
    """Lines of a small molecule, 0.15 nm from atom to atom, far from everything."""
    return "".join(
        f"HETATM  9{k:02d} {atom:^4} {residue:>3} {chain}   1    {at + 1.5 * k:8.3f}{at:8.3f}{at:8.3f}  1.00  0.00"
        f"          {atom.rstrip('0123456789')[:2]:>2}\n"
        for k, atom in enumerate(members)
    )


@cache
def in_water() -> str:
    topology, positions = build_peptide("KAKV", seed=2)
    wet, _, placed = solvated(topology, positions / unit.nanometer, edge=2.4)
    return text_of(wet, placed)


def in_other_order(sequence: str) -> str:
    """Atoms of each residue in the order of their names."""
    return "".join(sorted(atoms(peptide(sequence)), key=lambda line: (number(line), name(line))))


def two(chain: str = "B", ter: str = "TER\n", sequence: str = "AKLV") -> str:
    lines = atoms(peptide(sequence))
    return "".join(lines) + ter + moved(lines, 40, chain)


def renumbered(text: str, change: Callable[[int], str]) -> str:
    """Numbers of the residues, with the column of insertion codes."""
    return "".join(line[:22] + f"{change(number(line)):<5}" + line[27:] for line in atoms(text))


def alternates(other: str = "SER") -> str:
    lines = []
    for line in atoms(peptide("ASLV")):
        if number(line) == 2 and name(line) not in ("N", "CA", "C", "O"):
            second = f"{float(line[30:38]) + 0.3:8.3f}"
            lines += [line[:16] + "A" + line[17:], line[:16] + "B" + other + line[20:30] + second + line[38:]]
        else:
            lines.append(line)
    return "".join(lines)


def models() -> str:
    lines = atoms(peptide("ASLV"))
    return "".join(["MODEL        1\n", *lines, "ENDMDL\nMODEL        2\n", moved(lines, 3, "A"), "ENDMDL\nEND\n"])


def split_by_box(kind: type = app.PDBFile) -> str:
    topology, positions = build_peptide("AKLV", seed=1)
    nm = positions.value_in_unit(unit.nanometer)
    topology.setUnitCellDimensions(openmm.Vec3(2.2, 2.2, 2.2) * unit.nanometer)
    file = io.StringIO()
    kind.writeFile(topology, ((nm - nm.mean(0)) % 2.2) * unit.nanometer, file, keepIds=True)
    return file.getvalue()


def unnamed_hydrogens() -> str:
    return "".join(
        line[:12] + f"H{k:03d}" + line[16:] if line[76:78].strip() == "H" else line
        for k, line in enumerate(atoms(peptide("AKLV")))
    )


def deuterated() -> str:
    return "".join(
        (with_atoms_renamed(line, {name(line): "D" + name(line)[1:]})[:76] + " D\n") if line[77] == "H" else line
        for line in atoms(peptide("AKLV"))
    )


MODIFIED = [
    ("MSE", "MET", {"SD": "SE"}, {}),
    ("SEP", "SER", {}, {"P": "OG", "O1P": "P", "O2P": "P", "O3P": "P"}),
    ("TPO", "THR", {}, {"P": "OG1", "O1P": "P", "O2P": "P", "O3P": "P"}),
    ("PTR", "TYR", {}, {"P": "OH", "O1P": "P", "O2P": "P", "O3P": "P"}),
    ("HYP", "PRO", {}, {"OD1": "CG"}),
    ("MLY", "LYS", {}, {"CH1": "NZ", "CH2": "NZ"}),
    ("KCX", "LYS", {}, {"CX": "NZ", "OQ1": "CX", "OQ2": "CX"}),
    ("NLE", "LEU", {"CD1": "CD", "CD2": "CE"}, {}),
    ("CSO", "CYS", {}, {"OD": "SG"}),
]


def lactam() -> str:
    """A lysine whose N is bonded to the carboxyl group of an aspartate."""
    text = peptide("AKGDG")
    nitrogen = next(line for line in atoms(text) if "NZ  LYS" in line)
    return text.replace(nitrogen[30:54], beside(text, "CG  ASP"))


def glycosylated() -> str:
    """A sugar's first carbon on an alanine's CB."""
    text = peptide("AKLV")
    place = beside(text, "CB  ALA")
    first = f"HETATM  900  C1  NAG B   1    {place}  1.00  0.00           C\n"
    return "".join(atoms(text)) + "TER\n" + first + hetero("NAG", "C2", "C3", at=60.0)


def nucleotide(residue: str) -> str:
    """The sugar of a nucleotide."""
    return hetero(residue, "C1'", "C4'", "O4'", "P", at=50.0)


def with_nan(sequence: str) -> str:
    lines = atoms(peptide(sequence))
    return lines[0][:30] + "     nan" + lines[0][38:] + "".join(lines[1:])


def amber_caps() -> str:
    """Alanine dipeptide under AMBER's names of the hydrogens and the methyl carbon of the caps."""
    hydrogens = {f"H{k}": f"HH3{k}" for k in (1, 2, 3)}
    text = "".join(atoms(peptide("ACE-A-NME")))
    text = atoms_renamed_in(text, 1, hydrogens)
    return atoms_renamed_in(text, 3, {"C": "CH3", **hydrogens})


def from_peptide_builder(sequence: str) -> str:
    """PeptideBuilder's own: heavy atoms without OXT."""
    structure = PeptideBuilder.make_extended_structure(sequence)
    writer, file = Bio.PDB.PDBIO(), io.StringIO()
    writer.set_structure(structure)
    writer.save(file)
    return file.getvalue()


def from_pdbfixer(sequence: str, ph: float) -> str:
    """Hydrogens by PDBFixer."""
    fixer = PDBFixer(pdbfile=io.StringIO(bare(sequence)), platform=openmm.Platform.getPlatformByName("Reference"))
    fixer.addMissingHydrogens(ph)
    return text_of(fixer.topology, fixer.positions)


def neutral_amine() -> str:
    """An amine at the start of the chain that lacks its third hydrogen."""
    return without(peptide("AKLV"), lambda line: number(line) == 1 and name(line) == "H3")


def without_side_chain(sequence: str, residue: int) -> str:
    return without(bare(sequence), lambda line: number(line) == residue and name(line) not in ("N", "CA", "C", "O"))


def torn() -> str:
    """The same without the record of the box."""
    return "".join(atoms(split_by_box()))
