"""What readers make of unit cells, of files that are cut short, and of the ends of chains, models and lines."""

import gzip
import io
import warnings

import Bio.PDB
import numpy as np
import openmm
import pytest
from openmm import app, unit

import spellings as sp
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.md.readers import read_draft
from pdb_texts import moved, text_of, with_seqres, write

TOPOLOGY, POSITIONS = build_peptide("AKLV", seed=1)
NM = np.array(POSITIONS.value_in_unit(unit.nanometer))
ATOMS = sp.atoms(sp.peptide("AKLV"))
WHOLE = "the molecule was split across the periodic box and has been made whole"


def in_a_box(positions, vectors, suffix):
    """Text of a file with a unit cell."""
    topology = app.Modeller(TOPOLOGY, POSITIONS).topology
    topology.setPeriodicBoxVectors([openmm.Vec3(*row) for row in vectors] * unit.nanometer)
    file = io.StringIO()
    kind = {".pdb": app.PDBFile, ".cif": app.PDBxFile}[suffix]
    kind.writeFile(topology, positions * unit.nanometer, file, keepIds=True)
    return file.getvalue()


def residues_of(prepared):
    return " ".join(residue.name for residue in prepared.topology.residues())


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
@pytest.mark.parametrize(
    "vectors", [np.diag([2.2, 2.2, 2.2]), [[2.4, 0, 0], [0.6, 2.4, 0], [-0.6, 0.7, 2.3]]], ids=["cube", "triclinic"]
)
def test_a_molecule_torn_over_the_unit_cell_is_made_whole(suffix, vectors, tmp_path):
    fractions = (NM - NM.mean(0)) @ np.linalg.inv(vectors)
    wrapped = (fractions % 1) @ np.array(vectors)
    assert np.linalg.norm(wrapped[1:] - wrapped[:-1], axis=1).max() > 1
    prepared = prepare(write(tmp_path, in_a_box(wrapped, vectors, suffix), f"x{suffix}"))
    assert prepared.notes == (WHOLE,)
    # A PDB file has angles to 0.01 degrees, which is 0.0002 nm at the end of each box vector.
    np.testing.assert_allclose(prepared.positions - prepared.positions.mean(0), NM - NM.mean(0), atol=6e-4)


@pytest.mark.parametrize("suffix", [".pdb", ".cif"])
@pytest.mark.parametrize("edges", [(2.19, 0.487, 2.34), (0.1, 0.1, 0.1)], ids=["of a fibril", "unit cube"])
def test_a_whole_molecule_in_a_small_unit_cell_stays_as_it_is(suffix, edges, tmp_path):
    prepared = prepare(write(tmp_path, in_a_box(NM, np.diag(edges), suffix), f"x{suffix}"))
    assert prepared.notes == ()
    np.testing.assert_allclose(prepared.positions, NM, atol=6e-5)


@pytest.mark.parametrize(
    "cell", [(0, 0, 0, 90, 90, 90), (20, 20, 20, 0, 0, 0), (20, 20, 20, 20, 20, 170), (1, 1, 1, 90, 90, 90)]
)
def test_a_unit_cell_that_can_be_none_is_none(cell, tmp_path):
    record = "CRYST1" + "".join(f"{edge:9.3f}" for edge in cell[:3]) + "".join(f"{angle:7.2f}" for angle in cell[3:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draft, _ = read_draft(write(tmp_path, f"{record} P 1           1\n" + "".join(ATOMS)))
    assert draft.box is None


def line_of(residue, atom):
    return next(k for k, line in enumerate(ATOMS) if sp.number(line) == residue and sp.name(line) == atom)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ("".join(ATOMS[: line_of(4, "CG1")]), "the file ends within VAL 4, which lacks CG1, CG2: it seems"),
        ("".join(ATOMS[: line_of(3, "C")]), "LEU 3 lacks C"),
        ("".join(ATOMS)[:-35], "line 70 has no coordinates in columns 31 to 54"),
        ("".join(ATOMS[:60])[:-30], "line 60 has no coordinates in columns 31 to 54"),
    ],
    ids=["side chain", "backbone", "x", "z"],
)
def test_a_file_that_is_cut_within_a_residue_is_refused(cut, message, tmp_path):
    with pytest.raises(MDGenError, match=message):
        prepare(write(tmp_path, cut))


def test_hydrogens_that_only_the_last_residue_lacks_are_a_cut(tmp_path):
    heavy_first = sp.atoms(sp.gromacs("AKLV"))
    last = max(k for k, line in enumerate(heavy_first) if line[76:78].strip() != "H")
    with pytest.raises(MDGenError, match="ends within VAL 4, which lacks its hydrogens"):
        prepare(write(tmp_path, "".join(heavy_first[: last + 1])))


def test_a_file_that_ends_between_residues_says_so(tmp_path):
    cut = "".join(ATOMS[: line_of(4, "N")])
    told = (
        "the file ends with LEU 3, and has no last line END (.pdb) or # (.cif): if it has been cut short, residues are "
        "missing"
    )
    assert told in prepare(write(tmp_path, cut)).notes
    for end in ("END\n", "TER\n", sp.hetero("HOH", "O")):
        assert told not in prepare(write(tmp_path, cut + end)).notes
    assert prepare(write(tmp_path, "".join(ATOMS))).notes == ()  # OXT is the end


def test_a_side_chain_that_is_not_there_is_built_where_the_file_has_an_end(tmp_path):
    cut = "".join(ATOMS[: line_of(4, "CG1")])
    assert prepare(write(tmp_path, cut + "END\n")).notes[0].startswith("heavy atoms added: CG1, CG2, OXT of VAL 4")


@pytest.mark.parametrize("part", [0.5, 0.93])
@pytest.mark.parametrize("suffix", [".cif", ".gro", ".pdb.gz"])
def test_other_files_that_are_cut_are_refused(suffix, part, tmp_path):
    whole = {".cif": sp.cif("AKLV").encode(), ".gro": sp.gro(sp.peptide("AKLV")).encode()}
    whole[".pdb.gz"] = gzip.compress(sp.peptide("AKLV").encode())
    content = whole[suffix]
    (tmp_path / f"x{suffix}").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(MDGenError, match=f"x{suffix}"):
        prepare(tmp_path / f"x{suffix}")


def test_an_mmcif_file_that_is_cut_between_lines_is_told_from_a_complete_one(tmp_path):
    lines = sp.cif("AKLV").splitlines(keepends=True)
    row = {name: next(k for k, line in enumerate(lines) if f" {name} " in line) for name in ("VAL", "NZ")}
    assert any("cut short" in note for note in prepare(write(tmp_path, "".join(lines[: row["VAL"]]), "x.cif")).notes)
    with pytest.raises(MDGenError, match="the file ends within LYS 2, which lacks NZ"):
        prepare(write(tmp_path, "".join(lines[: row["NZ"]]), "x.cif"))
    prepared = prepare(write(tmp_path, "".join(lines[: row["NZ"]]) + "#\n", "x.cif"))
    assert prepared.notes[0].startswith("heavy atoms added: NZ, OXT of LYS 2")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pdb", sp.cif("AKLV"), "its content is mmCIF: give it a name that ends in .cif"),
        ("x.cif", sp.peptide("AKLV"), "its content is PDB: give it a name that ends in .pdb"),
        ("x.gro", sp.peptide("AKLV"), "its content is PDB: give it a name that ends in .pdb"),
        ("x.pdb", "<!DOCTYPE html>\n<html>Not found</html>", "it is a web page"),
    ],
)
def test_content_of_another_kind_is_told(name, content, message, tmp_path):
    with pytest.raises(MDGenError, match=message):
        prepare(write(tmp_path, content, name))


def test_what_is_no_structure_file_is_told_by_its_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "AKLV").mkdir()  # as simulate makes it, in the place of which the sequence is meant
    assert residues_of(prepare("AKLV")) == "ALA LYS LEU VAL"
    (tmp_path / "md_1").mkdir()
    (tmp_path / "x.xyz").write_text("")
    for source, message in [
        (".", r"\. is a folder: name a structure file in it"),
        ("md_1", "md_1 is a folder"),
        ("a.xtc", "a.xtc is neither a PDB file nor a sequence, but a trajectory by its name"),
        ("x.rst7", "x.rst7 holds positions without a topology: give the topology, with this file as --positions"),
        ("x.tpr", "x.tpr: its name is not that of a structure file: those end in .pdb"),
        ("x.xyz", "x.xyz: its name is not that of a structure file: those end in .pdb"),
    ]:
        with pytest.raises(MDGenError, match=message):
            prepare(source)


def test_frames_that_are_parted_by_end_are_models(tmp_path):
    frames = "".join(moved(ATOMS, shift, "A") + "END\n" for shift in (0, 1, 2))
    prepared = prepare(write(tmp_path, frames))
    assert prepared.notes == ("the first of 3 models is taken",)
    np.testing.assert_allclose(prepared.positions, NM, atol=6e-5)


def test_chains_that_are_parted_by_end_are_chains(tmp_path):
    two = "".join(ATOMS) + "END\n" + moved(ATOMS, 30, "B") + "END\n"
    with pytest.raises(MDGenError, match="2 protein chains"):
        prepare(write(tmp_path, two))
    assert residues_of(prepare(write(tmp_path, two), each_chain=True)) == "ALA LYS LEU VAL ALA LYS LEU VAL"


def test_a_chain_that_a_file_parts_between_bonded_residues_is_one(tmp_path):
    """As Biopython does in mmCIF files at a residue of HETATM records, and a TER in the wrong place does."""
    apart = sp.atoms(sp.bare("AKLV"))
    first_of_three = next(k for k, line in enumerate(apart) if sp.number(line) == 3)
    text = "".join(apart[:first_of_three]) + "TER\n" + "".join(apart[first_of_three:]) + "END\n"
    prepared = prepare(write(tmp_path, text))
    assert residues_of(prepared) == "ALA LYS LEU VAL" and prepared.topology.getNumChains() == 1
    assert prepared.notes[0] == "parted by the file, but bonded and of one chain: LYS 2 and LEU 3"
    structure = Bio.PDB.PDBParser(QUIET=True).get_structure("x", io.StringIO(sp.modified(*sp.MODIFIED[0])))
    writer = Bio.PDB.MMCIFIO()
    writer.set_structure(structure)
    writer.save(str(tmp_path / "x.cif"))
    assert residues_of(prepare(tmp_path / "x.cif")) == "ALA MET GLY VAL"


SPELLINGS = {
    "windows.pdb": lambda text: text.replace("\n", "\r\n").encode(),
    "mac.pdb": lambda text: text.replace("\n", "\r").encode(),
    "mark.pdb": lambda text: text[text.index("ATOM") :].encode("utf-8-sig"),
    "utf16.pdb": lambda text: text.encode("utf-16"),
    "latin.pdb": lambda text: ("REMARK von München\n" + text).encode("latin-1"),
    "UPPER.PDB": str.encode,
    "pdb1xyz.ent": str.encode,
    "compressed.pdb": lambda text: gzip.compress(text.encode()),
    "plain.pdb.gz": str.encode,
    "UPPER.PDB.GZ": lambda text: gzip.compress(text.encode()),
    "short.pdb": lambda text: "\n".join(line[:54].rstrip() for line in text.splitlines()).encode(),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_file_is_read_however_its_lines_end_and_its_name_is_written(name, tmp_path):
    (tmp_path / name).write_bytes(SPELLINGS[name](text_of(TOPOLOGY, POSITIONS)))
    prepared = prepare(tmp_path / name)
    assert prepared.notes == () and residues_of(prepared) == "ALA LYS LEU VAL"
    np.testing.assert_allclose(prepared.positions, NM, atol=6e-5)


LACKING = "the file names residues that it has no atoms of, and the chain is without them: "


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("ALA LYS LEU VAL", None),
        ("GLY MET ALA LYS LEU VAL", "GLY, MET before ALA 1"),
        ("ALA LYS LEU VAL SER", "SER after VAL 4"),
        ("ALA LYS GLY LEU VAL", "GLY before LEU 3"),  # though its neighbours are bonded, as after an edit
        ("ALA ALA LYS LEU VAL VAL", "ALA before ALA 1; VAL after VAL 4"),
        ("MSE GLY ALA LYS LEU VAL", "MSE, GLY before ALA 1"),
        ("SER LYS LEU VAL", None),  # a residue that was replaced is not missing
        ("GLY SER LYS LEU VAL", "1 of GLY, SER before LYS 2"),
        ("ALA MLY LEU VAL", None),
        (" ".join(["GLY"] * 20 + "ALA LYS LEU VAL".split()), "GLY, GLY, GLY, GLY, GLY, GLY and 14 more before ALA 1"),
    ],
)
def test_residues_that_a_pdb_file_names_and_lacks_are_told(stated, told, tmp_path):
    prepared = prepare(write(tmp_path, with_seqres(sp.peptide("AKLV"), stated)))
    assert prepared.notes == (() if told is None else (LACKING + told,))


def test_residues_that_an_mmcif_file_names_and_lacks_are_told(tmp_path):
    rows = ((1, "GLY"), (2, "ALA"), (3, "LYS"), (3, "ARG"), (4, "LEU"), (5, "VAL"), (6, "NH2"))  # two kinds at 3
    table = "".join(f"A {k} {name}\n" for k, name in rows)
    names = "".join(f"_pdbx_poly_seq_scheme.{name}\n" for name in ("pdb_strand_id", "seq_id", "mon_id"))
    text = sp.cif("AKLV") + f"loop_\n{names}{table}#\n"
    prepared = prepare(write(tmp_path, text, "given.cif"))
    assert prepared.notes == (LACKING + "GLY before ALA 1; NH2 after VAL 4",)


def test_each_chain_is_compared_with_what_is_said_of_it(tmp_path):
    text = with_seqres(with_seqres(sp.two(), "ALA LYS LEU VAL"), "ALA LYS LEU VAL GLY", "B")
    told = prepare(write(tmp_path, text), each_chain=True).notes
    assert [note for note in told if note.startswith(LACKING)] == [LACKING + "GLY after VAL 4"]
