"""Readers of structure files, with all names as they are written.

PDB files (``.pdb``, ``.ent``), mmCIF files (``.cif``, ``.mmcif``) and GROMACS files (``.gro``), each also compressed
(``.gz``). Of several models and of alternate locations the first is read. Positions are in nanometre.
"""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from mdtraj.utils import lengths_and_angles_to_box_vectors

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import require_file
from openmm_mdgen.md.drafts import Draft, DraftAtom, DraftResidue, few

_NM_PER_ANGSTROM = 0.1
_ENDS = ("TER", "END", "ENDMDL", "MASTER", "CONECT")  # records that follow the atoms of a chain or a file
_CRYST1 = (6, 15, 24, 33, 40, 47, 54)  # where the columns of a PDB file's unit cell begin and end
_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")  # of mmCIF's unit cell
_GZIP = b"\x1f\x8b"  # which compressed files begin with
_FLATTEST = 1e-4
_SHORTEST_EDGE = 2.0  # ångström; a cube of 1 stands for no unit cell
_SYMBOLS = frozenset("H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Mn Fe Co Ni Cu Zn Se Br Cd I Cs Hg".split())


def kind_of(path: Path) -> str | None:
    """The format that a file's name stands for: ``pdb``, ``cif`` or ``gro``; None for all others."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else path.suffix.lower()
    return {".pdb": "pdb", ".ent": "pdb", ".cif": "cif", ".mmcif": "cif", ".gro": "gro"}.get(suffix)


def stem_of(path: Path) -> str | None:
    """The name of a structure file without its suffixes; None for what is no structure file by its name."""
    if kind_of(path) is None:
        return None
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def read_draft(path: Path) -> tuple[Draft, list[str]]:
    """Read a structure.

    Parameters
    ----------
    path : Path
        A file of a kind that `kind_of` knows.

    Returns
    -------
    draft : Draft
    notes : list of str
        What of the file was not read: further models and alternate locations.

    Raises
    ------
    MDGenError
        If the file is missing, cannot be read or holds no atom.
    """
    require_file(path)
    reader = {"pdb": _read_pdb, "cif": _read_cif, "gro": _read_gro}[kind_of(path) or "pdb"]
    kind = {"pdb": "a PDB", "cif": "an mmCIF", "gro": "a GROMACS"}[kind_of(path) or "pdb"]
    try:
        content = path.read_bytes()
        text = _decoded(gzip.decompress(content) if content.startswith(_GZIP) else content)
        _require_kind(text, kind_of(path))
        draft, notes = reader(text)
    except Exception as error:  # readers raise whatever the malformed field provokes
        raise MDGenError(f"{path} cannot be read as {kind} file: {error}") from error
    if not draft.residues:
        raise MDGenError(f"{path} cannot be read as {kind} file: it holds no atom")
    return draft, notes


def _require_kind(text: str, kind: str | None) -> None:
    """Raise `ValueError` for a file whose content is of another kind than its name says."""
    head = text.lstrip()[:200].lower()
    if head.startswith(("<!doctype", "<html")):
        raise ValueError("it is a web page (HTML), as servers send where a file is not found")
    if kind != "cif" and head.startswith("data_"):
        raise ValueError("its content is mmCIF: give it a name that ends in .cif")
    if kind != "pdb" and head.startswith(("header ", "remark ", "atom  ", "cryst1", "model ", "title  ")):
        raise ValueError("its content is PDB: give it a name that ends in .pdb")


def _decoded(content: bytes) -> str:
    """The text of a file: UTF-8, UTF-16 where a mark at its start says so, or, for umlauts in remarks, Latin-1."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


@dataclass(frozen=True)
class _Row:
    """One atom of a file."""

    chain: str
    segment: int
    residue: str
    number: str
    insertion_code: str
    atom: str
    element: str
    position: np.ndarray  # nm
    alternate: str  # location; blank where there is one


def _collected(rows: Iterable[_Row], box: np.ndarray | None, models: int) -> tuple[Draft, list[str]]:
    """Residues out of atoms, with the first location of each that has several."""
    residues: list[DraftResidue] = []
    places: dict[tuple[int, str, str], DraftResidue] = {}
    chosen: dict[tuple[int, str, str], str] = {}  # alternate location of a place in a chain
    left_out: dict[tuple[int, str, str], DraftResidue] = {}
    for row in rows:
        place = (row.segment, row.number, row.insertion_code)
        if row.alternate.strip() and chosen.setdefault(place, row.alternate) != row.alternate:
            left_out[place] = places[place]
            continue
        last = residues[-1] if residues else None
        if last is None or (last.segment, last.number, last.insertion_code, last.name) != (*place, row.residue):
            last = DraftResidue(row.residue, row.number, row.insertion_code, row.chain, row.segment)
            residues.append(last)
        places[place] = last
        last.atoms.append(DraftAtom(row.atom, row.element, row.position))
    notes = [f"the first of {models} models is taken"] if models > 1 else []
    if left_out:
        notes.append(f"alternate locations of {few(left_out.values())}: the first is taken")
    return Draft(residues, box), notes


def _read_pdb(text: str) -> tuple[Draft, list[str]]:
    lines = text.splitlines()
    models = sum(line.startswith("MODEL ") for line in lines)
    rows: list[_Row] = []
    first, segment, box, ended = "", 0, None, ""
    stated: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        record = line[:6].rstrip()
        if record == "CRYST1":
            box = _unit_cell(line[k:m] for k, m in pairwise(_CRYST1))
        elif record == "SEQRES":
            stated.setdefault(line[11:12], []).extend(line[19:70].split())
        elif record in _ENDS:
            ended = record
            if record == "ENDMDL":
                break
        elif record in ("ATOM", "HETATM"):
            first = first or line[12:27]
            if ended == "END" and line[12:27] == first:  # frames that are parted by END
                models = sum(line[12:27] == first for line in lines)
                break
            if rows and (ended or line[21:22] != rows[-1].chain):
                segment += 1
            ended = ""
            rows.append(_pdb_row(line, number, segment))
    draft, notes = _collected(rows, box, models)
    draft.open_end, draft.stated = draft.residues[-1] if rows and not ended else None, stated
    return draft, notes


def _pdb_row(line: str, number: int, segment: int) -> _Row:
    columns = [line[k : k + 8] for k in (30, 38, 46)]
    try:
        if len(columns[-1]) < 8:  # a number that is cut short would be another one
            raise ValueError
        position = np.array([float(column) for column in columns]) * _NM_PER_ANGSTROM
    except ValueError:
        raise ValueError(f"line {number} has no coordinates in columns 31 to 54") from None
    # Names of four letters, such as NALA, take the column before the chain's.
    residue, name = line[17:21].strip(), line[12:16].strip()
    place = (line[22:26].strip(), line[26:27].strip())
    element = _element(line[76:78], name, residue)
    return _Row(line[21:22], segment, residue, *place, name, element, position, line[16:17])


def _unit_cell(values: Iterable[str]) -> np.ndarray | None:
    """Box vectors (3, 3) of three edges in ångström and three angles; None where none is stated, or the unit cube."""
    try:
        a, b, c, alpha, beta, gamma = (float(value) for value in values)
    except ValueError:
        return None
    x, y, z = np.cos(np.deg2rad([alpha, beta, gamma]))
    volume = 1 - x * x - y * y - z * z + 2 * x * y * z  # squared, of a cell of unit edges with these angles
    if not (min(a, b, c) >= _SHORTEST_EDGE and volume > _FLATTEST):
        return None
    edges = (length * _NM_PER_ANGSTROM for length in (a, b, c))
    return np.array(lengths_and_angles_to_box_vectors(*edges, alpha, beta, gamma))


def _element(written: str, name: str, residue: str) -> str:
    """Symbol of an atom's element, from its column or else from its name."""
    letters = name.lstrip("0123456789")
    guessed = "Se" if residue == "MSE" and letters.startswith("SE") else letters[:1].upper()
    for symbol in (written.strip().capitalize(), guessed):
        if symbol == "D":
            return "H"
        if symbol in _SYMBOLS:
            return symbol
    return "C"  # of no known atom, which is refused by its name


def _read_cif(text: str) -> tuple[Draft, list[str]]:
    from Bio.PDB.MMCIF2Dict import MMCIF2Dict

    table = MMCIF2Dict(io.StringIO(text))

    def column(*names: str, default: str | None = None) -> list[str]:
        """The first of some columns that is there."""
        for name in names:
            if f"_atom_site.{name}" in table:
                return table[f"_atom_site.{name}"]
        if default is None:
            raise ValueError(f"it has no column _atom_site.{names[0]}")
        return [default] * len(table["_atom_site.Cartn_x"])

    lengths = {len(values) for name, values in table.items() if name.startswith("_atom_site.")}
    if len(lengths) > 1:
        raise ValueError("it is cut short: the last row of its table of atoms is not complete")
    xyz = np.array([column(f"Cartn_{axis}") for axis in "xyz"], dtype=float).T * _NM_PER_ANGSTROM
    models = column("pdbx_PDB_model_num", default="1")
    asym = column("label_asym_id", "auth_asym_id")
    columns = zip(
        column("auth_asym_id", "label_asym_id"),
        column("auth_comp_id", "label_comp_id"),
        column("auth_seq_id", "label_seq_id"),
        column("pdbx_PDB_ins_code", default="?"),
        column("auth_atom_id", "label_atom_id"),
        column("type_symbol", default=""),
        column("label_alt_id", default="."),
        strict=True,
    )
    rows, segment = [], 0
    for k, (chain, residue, number, insertion, atom, symbol, alternate) in enumerate(columns):
        if models[k] != models[0]:
            continue
        segment += k > 0 and asym[k] != asym[k - 1]
        insertion, alternate = ("" if value in "?." else value for value in (insertion, alternate))
        element = _element("" if symbol in "?." else symbol, atom, residue)
        rows.append(_Row(chain, segment, residue, number, insertion, atom, element, xyz[k], alternate))
    cell = [table.get(f"_cell.{name}", ["?"])[0] for name in _CELL]
    draft, notes = _collected(rows, _unit_cell(cell), len(set(models)))
    places: dict[tuple[str, str], str] = {}  # the first residue of each place: there may be several kinds
    scheme = (table.get(f"_pdbx_poly_seq_scheme.{name}", []) for name in ("pdb_strand_id", "seq_id", "mon_id"))
    for chain, number, residue in zip(*scheme, strict=True):
        places.setdefault((chain, number), residue)
    for (chain, _), residue in places.items():
        draft.stated.setdefault(chain, []).append(residue)
    if text.rstrip().splitlines()[-1].startswith(("ATOM", "HETATM")):  # nothing closes the table
        draft.open_end = draft.residues[-1]
    return draft, notes


def _read_gro(text: str) -> tuple[Draft, list[str]]:
    lines = text.splitlines()
    n_atoms = int(lines[1])
    if len(lines) < n_atoms + 3:
        raise ValueError(f"it is cut short: {n_atoms} atoms and a box are announced, and {len(lines)} lines are there")
    rows = []
    for line in lines[2 : 2 + n_atoms]:
        number, residue, atom = (line[k : k + 5].strip() for k in (0, 5, 10))
        width = line.index(".", line.index(".", 20) + 1) - line.index(".", 20)  # as wide as the file's precision asks
        position = np.array([float(line[20 + k * width : 20 + (k + 1) * width]) for k in range(3)])
        rows.append(_Row("A", 0, residue, number, "", atom, _element("", atom, residue), position, ""))
    edges = [float(word) for word in lines[2 + n_atoms].split()]
    models = sum(bool(line.strip()) for line in lines) // (n_atoms + 3)
    return _collected(rows, _gro_box(edges), max(models, 1))


def _gro_box(edges: list[float]) -> np.ndarray | None:
    """Box vectors (3, 3) of a GROMACS file's last line; None where all are zero, which stands for no box."""
    box = np.diag(edges[:3])
    if len(edges) == 9:
        box[0, 1], box[0, 2], box[1, 0], box[1, 2], box[2, 0], box[2, 1] = edges[3:]
    return box if np.abs(np.diag(box)).min() > 0 else None
