"""Structures that cannot be completed, damaged files, and small files that people brought."""

import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openmm_mdgen.errors import MDGenError, UnsupportedTopologyError
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.prepare import prepare
from pdb_texts import (
    beside,
    exchanged,
    mirrored,
    moved,
    peptide_with,
    renamed,
    text_of,
    write,
)

CASES = Path(__file__).parent.parent / "data" / "cases"


def residues_of(prepared):
    return [residue.name for residue in prepared.topology.residues()]


PEPTIDE = text_of(*build_peptide("AKLVG", seed=1))
THREONINE = text_of(*build_peptide("ATG", seed=1))
ATOMS = [line for line in PEPTIDE.splitlines(keepends=True) if line.startswith("ATOM")]


def without(condition):
    return "".join(line for line in ATOMS if not condition(line))


LINKED = text_of(*build_peptide("AKGDG", seed=1))
NAN = ATOMS[0][:30] + "     nan" + ATOMS[0][38:]
REFUSED = {
    "gap": (
        without(lambda line: line[22:26].strip() == "3"),
        r"LYS 2 C and VAL 4 N are 0\.\d\d nm apart: residues are missing",
    ),
    "broken chain": (
        "".join(ATOMS[:40]) + moved([line for line in ATOMS[34:] if int(line[22:26]) > 2], 5, "A"),
        "apart: the chain is broken, or residues are missing",
    ),
    "D residue by its name": (renamed(PEPTIDE, 3, "DLE"), "DLE 3 is D-LEU"),
    "D residue by its geometry": (mirrored(PEPTIDE, 3), "LEU 3 is a D amino acid"),
    "allothreonine": (
        exchanged(THREONINE, 2, "OG1", "CG2"),
        "THR 2 is allothreonine: its CB is the mirror image of that of threonine; only the 20 usual L amino acids",
    ),
    "D-allothreonine": (mirrored(exchanged(THREONINE, 2, "OG1", "CG2"), 2), "THR 2 is a D amino acid"),
    "nucleic acid": (
        PEPTIDE.replace("END", moved(ATOMS[:3], 40, "B").replace("ALA", " DA") + "END"),
        "DA 1 is of a nucleic acid",
    ),
    "unknown amino acid": (renamed(PEPTIDE, 3, "XYZ"), "XYZ 3 is an amino acid that is not known"),
    "no protein": (
        "HETATM    1  O   HOH A   1       0.000   0.000   0.000  1.00  0.00           O\n",
        "holds no amino acid, but 1 HOH",
    ),
    "two chains": (
        "".join(ATOMS) + "TER\n" + moved(ATOMS, 40, "B"),
        r"2 protein chains, which begin at ALA 1 \(chain A\) and ALA 1 \(chain B\)",
    ),
    "two chains without TER": (
        "".join(ATOMS) + moved(ATOMS, 40, "A"),
        "a second chain begins at ALA 1, after the OXT of GLY 5: the TER",
    ),
    "lost backbone": (without(lambda line: line[12:16].strip() == "CA" and line[17:20] == "LYS"), "LYS 2 lacks CA"),
    "atom there twice": (PEPTIDE.replace(ATOMS[4], ATOMS[4] * 2), "ALA 1 has atom CA more than once"),
    "foreign atom": (PEPTIDE.replace(" NZ  LYS", " NX  LYS"), "LYS 2 has atom NX, which is no atom of LYS"),
    "not a number": (PEPTIDE.replace(ATOMS[0], NAN), "ALA 1, atom N: its position is not a number"),
    "coordinates lost": (PEPTIDE.replace(ATOMS[0], ATOMS[0][:40] + "\n"), "line 2 has no coordinates"),
    "neutral residue at an end": (renamed(peptide_with("ASP", "AXLD"), 4, "ASH"), "ASH at a free end of the chain"),
    "half a disulfide": (renamed(peptide_with("CYS"), 2, "CYX"), "CYS 2 is named as one half of a disulfide"),
    "glycosylated": (
        PEPTIDE.replace(
            "END",
            f"HETATM  900  C1  NAG B   1    {ATOMS[4][30:54]}  1.00  0.00           C\n"
            "HETATM  901  C2  NAG B   1      90.000  90.000  90.000  1.00  0.00           C\nEND",
        ),
        "NAG 1, atom C1 is bonded to ALA 1",
    ),
    "cross-link": (
        LINKED.replace(
            next(line for line in LINKED.splitlines() if "NZ  LYS" in line)[30:54], beside(LINKED, "CG  ASP")
        ),
        "LYS 2 NZ and ASP 4 CG are 0.15 nm apart: side chains are bonded to each other",
    ),
    "empty": ("", "it holds no atom"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_mended_is_refused_with_the_reason(fault, tmp_path):
    text, message = REFUSED[fault]
    with pytest.raises(MDGenError, match=message):
        prepare(write(tmp_path, text))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("absent.cif", "absent.cif: no such file"),
        ("AkLV", "mixes upper and lower case"),
        ("AKXV", "neither a PDB file.*nor a sequence.*'X' in 'AKXV'"),
        ("traj.dcd", "neither a PDB file"),
        ("A", "at least two residues, or one and a cap"),
        ("FOR-A-NME", "'FOR' in 'FOR-A-NME': not a cap of that end"),
        ("NME-A-ACE", "'NME' in 'NME-A-ACE': not a cap of that end"),
        ("A-K-L-V", "hyphens part caps"),
        ("", "at least two"),
    ],
)
def test_what_is_neither_file_nor_sequence_is_refused(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MDGenError, match=message):
        prepare(source)


@pytest.mark.parametrize("suffix", [".pdb", ".cif", ".gro", ".pdb.gz"])
def test_files_that_hold_no_structure_are_refused_by_name(suffix, tmp_path):
    for content in (b"ATOM  nothing at all\n", bytes(range(256)) * 10, b"\n\n"):
        (tmp_path / f"odd{suffix}").write_bytes(content)
        with pytest.raises(MDGenError, match=f"odd{suffix} cannot be read as a"):
            prepare(tmp_path / f"odd{suffix}")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    case=st.sampled_from(["fragment.pdb", "hise.pdb", "h01.pdb", "ace_aklv_nme.pdb", "aklv.cif"]),
    faults=st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 80), st.sampled_from("AX9 -.H")), min_size=1, max_size=6
    ),
    lost=st.integers(0, 10**6),
)
def test_damaged_files_are_taken_or_refused_but_never_break_the_program(case, faults, lost, tmp_path):
    lines = (CASES / case).read_text().splitlines()
    for row, column, letter in faults:
        line = lines[row % len(lines)].ljust(81)
        lines[row % len(lines)] = line[:column] + letter + line[column + 1 :]
    del lines[lost % len(lines)]
    path = tmp_path / case
    path.write_text("\n".join(lines) + "\n")
    with suppress(MDGenError):
        prepared = prepare(path)
        assert len(prepared.positions) == prepared.topology.getNumAtoms()


WORKING = {
    "cggc.pdb": ((), ["CYS", "GLY", "GLY", "CYS"]),  # its disulfide is refused by the generator, not by MD
    "ace_aklv_nme.pdb": (("45 hydrogens added for pH 7",), ["ACE", "ALA", "LYS", "LEU", "VAL", "NME"]),
    "fragment.pdb": (("heavy atoms added: OXT of VAL 4", "40 hydrogens added for pH 7"), ["ALA", "LYS", "LEU", "VAL"]),
    "h01.pdb": (
        ("hydrogens renamed by the atoms that they are bonded to: ALA 1, LYS 2, LEU 3, VAL 4",),
        ["ALA", "LYS", "LEU", "VAL"],
    ),
    "aspp.pdb": (("residues renamed: ASPP 2 is ASH",), ["GLU", "ASH", "ILE", "LEU"]),
    "glup.pdb": (("residues renamed: GLUP 2 is GLH",), ["ASP", "GLH", "ILE", "LEU"]),
    "hise.pdb": (("residues renamed: HISE 2 is HIE",), ["GLY", "HIE", "ILE", "SER"]),
    "lyn.pdb": ((), ["ALA", "LYN", "LEU", "VAL"]),
    "cys2.pdb": (("residues renamed: CYS2 1 is CYX, CYS2 4 is CYX",), ["CYX", "ALA", "GLY", "CYX"]),
    "hip.pdb": (("29 hydrogens added for pH 7, HIP 2 as named",), ["GLY", "HIP", "ILE", "SER"]),
    "aklv.cif": ((), ["ALA", "LYS", "LEU", "VAL"]),
}


@pytest.mark.parametrize("name", WORKING)
def test_cases_that_work(name):
    notes, residues = WORKING[name]
    prepared = prepare(CASES / name)
    assert prepared.notes == notes and residues_of(prepared) == residues
    bonded = {(a.name, b.name) for a, b in prepared.topology.bonds()}
    assert (("SG", "SG") in bonded) == (name in ("cggc.pdb", "cys2.pdb"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gap.pdb", r"LYS 2 C and VAL 4 N are 0.33 nm apart: residues are missing"),
        ("two.pdb", "a second chain begins at ALA 5, after the OXT of VAL 4: the TER between them is missing"),
    ],
)
def test_cases_that_are_refused(name, message):
    with pytest.raises(UnsupportedTopologyError, match=message):
        prepare(CASES / name)


def test_files_of_cases_are_left_alone(tmp_path):
    copy = shutil.copy(CASES / "fragment.pdb", tmp_path)
    before = Path(copy).read_bytes()
    prepare(copy)
    assert Path(copy).read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["fragment.pdb"]
