"""Structures as people have them, under every program's names: what is made of them."""

import gzip
import io

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.geometry.residues import ONE_TO_THREE
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.md.systems import implicit_system, solvated
from openmm_mdgen.molecule.chain import ProteinChain
from pdb_texts import (
    CHARMM,
    OLD_PDB,
    peptide_with,
    renamed,
    ring,
    text_of,
    with_atoms_renamed,
    write,
)

# The charge of each form in units of the electron's, by textbook.
CHARGES = {
    "HID": 0,
    "HIE": 0,
    "HIP": 1,
    "ASH": 0,
    "GLH": 0,
    "LYN": 0,
    "LYS": 1,
    "CYM": -1,
    "CYS": 0,
    "ASP": -1,
    "GLU": -1,
}


def charge(topology):
    system = implicit_system(topology)  # which has to outlive its forces
    force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    charges = [force.getParticleParameters(k)[0] / unit.elementary_charge for k in range(force.getNumParticles())]
    return sum(charges)


def names_of(prepared, number=None):
    return sorted(a.name for a in prepared.topology.atoms() if number is None or int(a.residue.id) == number)


def residues_of(prepared):
    return [residue.name for residue in prepared.topology.residues()]


SPELLINGS = [
    *[("HID", name) for name in ("HID", "HSD", "HISD")],
    *[("HIE", name) for name in ("HIE", "HSE", "HISE")],
    *[("HIP", name) for name in ("HIP", "HSP", "HISH")],
    *[("ASH", name) for name in ("ASH", "ASPP", "ASPH")],
    *[("GLH", name) for name in ("GLH", "GLUP", "GLUH")],
    *[("LYN", name) for name in ("LYN", "LSN")],
    *[("LYS", name) for name in ("LYSH", "LYP")],
    *[("CYS", name) for name in ("CYSH",)],
    ("CYM", "CYM"),
]


@pytest.mark.parametrize("hydrogens", [True, False], ids=["with hydrogens", "bare"])
@pytest.mark.parametrize(("form", "name"), SPELLINGS, ids=[name for _, name in SPELLINGS])
def test_a_residue_has_the_form_that_its_name_asks_for(form, name, hydrogens, tmp_path):
    given = renamed(peptide_with(form, hydrogens=hydrogens), 2, name)
    prepared = prepare(write(tmp_path, given))
    assert residues_of(prepared) == ["ALA", form, "LEU", "VAL"]
    expected = app.PDBFile(io.StringIO(peptide_with(form)))
    assert [a.name for a in prepared.topology.atoms() if a.residue.index == 1] == [
        a.name for a in expected.topology.atoms() if a.residue.index == 1
    ]
    assert charge(prepared.topology) == pytest.approx(CHARGES[form], abs=1e-4)
    assert any("as named" in note for note in prepared.notes) == (not hydrogens)
    assert any(f"{name} 2 is {form}" in note for note in prepared.notes) == (name != form)
    ProteinChain.from_openmm(prepared.topology)


@pytest.mark.parametrize("form", ["HID", "HIE", "HIP", "ASH", "GLH", "LYN", "CYM"])
def test_hydrogens_of_a_standard_name_say_its_form(form, tmp_path):
    """The same under unknown names: what counts is which atoms they are bonded to."""
    text = peptide_with(form)
    prepared = prepare(write(tmp_path, text))
    assert prepared.notes == () and charge(prepared.topology) == pytest.approx(CHARGES[form], abs=1e-4)
    numbered = []
    for line in text.splitlines(keepends=True):
        if line.startswith("ATOM") and line[76:78].strip() == "H":
            line = line[:12] + f"H{len(numbered):03d}" + line[16:]
        numbered.append(line)
    again = prepare(write(tmp_path, "".join(numbered)))
    np.testing.assert_array_equal(again.positions, prepared.positions)
    assert names_of(again) == names_of(prepared) and "hydrogens renamed" in again.notes[0]


@pytest.mark.parametrize("ph", [2.0, 7.0, 12.0])
def test_hydrogens_are_added_for_the_ph(ph, tmp_path):
    bare = write(tmp_path, peptide_with("ASP", "GXKEHG", hydrogens=False))
    expected = {2.0: 2, 7.0: -1, 12.0: -2}  # of D, K, E, H; the ends, NH3+ and COO-, cancel
    prepared = prepare(bare, ph=ph)
    assert charge(prepared.topology) == pytest.approx(expected[ph], abs=1e-4)
    assert f"for pH {ph:g}" in prepared.notes[0]


HEAVY = {"O": "OT1", "OXT": "OT2"}, {"O": "O1", "OXT": "O2"}, {"O": "OC1", "OXT": "OC2"}, {"O": "O'", "OXT": "O''"}


@pytest.mark.parametrize("ends", HEAVY, ids=lambda ends: ends["O"])
def test_carboxyl_ends_of_every_program(ends, tmp_path):
    lines = peptide_with("LYS").splitlines(keepends=True)
    last = "".join(line for line in lines if line[22:26].strip() == "4")
    first = "".join(line for line in lines if line[22:26].strip() != "4" and line.startswith("ATOM"))
    prepared = prepare(write(tmp_path, first + with_atoms_renamed(last, ends)))
    assert names_of(prepared) == names_of(prepare(write(tmp_path, "".join(lines))))
    assert any(f"{ends['OXT']} of VAL 4 is OXT" in note for note in prepared.notes)


@pytest.mark.parametrize("sequence", ["GKLIS", "SIGE", "MRQFW", "TNYVP"])
@pytest.mark.parametrize("spelling", [CHARMM, OLD_PDB], ids=["CHARMM", "old PDB"])
def test_hydrogens_of_other_spellings_stay_where_they_are(sequence, spelling, tmp_path):
    text = text_of(*build_peptide(sequence, seed=2))
    plain = prepare(write(tmp_path, text))
    other = with_atoms_renamed(text, spelling)
    assert other != text
    prepared = prepare(write(tmp_path, other))
    assert names_of(prepared) == names_of(plain)
    np.testing.assert_array_equal(prepared.positions, plain.positions)
    assert charge(prepared.topology) == pytest.approx(charge(plain.topology), abs=1e-4)


def test_amber_names_of_ends(tmp_path):
    text = text_of(*build_peptide("AHLV", seed=3))
    text = renamed(renamed(text, 1, "NALA"), 4, "CVAL")
    first = [line for line in text.splitlines(keepends=True) if line[22:26].strip() == "1"]
    amber = text.replace("".join(first), with_atoms_renamed("".join(first), {"H": "H1"}))
    prepared = prepare(write(tmp_path, amber))
    assert residues_of(prepared) == ["ALA", "HIS", "LEU", "VAL"]
    assert names_of(prepared) == names_of(prepare(write(tmp_path, text_of(*build_peptide("AHLV", seed=3)))))


FORMATS = [".pdb", ".ent", ".pdb.gz", ".cif", ".mmcif", ".cif.gz", ".gro", ".gro.gz"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_molecule(suffix, tmp_path):
    topology, positions = build_peptide("AHLIV", seed=6)
    nm = positions.value_in_unit(unit.nanometer)
    if "cif" in suffix:
        file = io.StringIO()
        app.PDBxFile.writeFile(topology, positions, file, keepIds=True)
        content = file.getvalue()
    elif "gro" in suffix:
        mdtraj.Trajectory(nm, mdtraj.Topology.from_openmm(topology)).save_gro(str(tmp_path / "x.gro"), precision=6)
        content = (tmp_path / "x.gro").read_text()
    else:
        content = text_of(topology, positions)
    path = tmp_path / f"given{suffix}"
    path.write_bytes(gzip.compress(content.encode()) if suffix.endswith("gz") else content.encode())
    prepared = prepare(path)
    assert prepared.notes == () and residues_of(prepared) == ["ALA", "HIS", "LEU", "ILE", "VAL"]
    assert [a.name for a in prepared.topology.atoms()] == [a.name for a in topology.atoms()]
    np.testing.assert_allclose(prepared.positions, nm, atol=6e-5)


def test_elements_that_are_missing_or_wrong_are_told_by_names(tmp_path):
    text = text_of(*build_peptide("AKLV", seed=1))
    plain = prepare(write(tmp_path, text))
    for column in ("  ", "XX", " D"):
        lines = text.splitlines(keepends=True)
        changed = [
            line[:76] + column + line[78:] if line.startswith("ATOM") and (column != " D" or line[77] == "H") else line
            for line in lines
        ]
        prepared = prepare(write(tmp_path, "".join(changed)))
        assert prepared.notes == () and names_of(prepared) == names_of(plain)
        assert charge(prepared.topology) == pytest.approx(1, abs=1e-4)


def test_the_first_of_models_and_alternate_locations_is_taken(tmp_path):
    text = text_of(*build_peptide("ASLV", seed=1))
    atoms = [line for line in text.splitlines(keepends=True) if line.startswith("ATOM")]
    second = [line[:30] + f"{float(line[30:38]) + 9:8.3f}" + line[38:] for line in atoms]
    models = "".join(["MODEL        1\n", *atoms, "ENDMDL\n", "MODEL        2\n", *second, "ENDMDL\n"])
    plain = prepare(write(tmp_path, text))
    prepared = prepare(write(tmp_path, models))
    np.testing.assert_array_equal(prepared.positions, plain.positions)
    assert prepared.notes == ("the first of 2 models is taken",)
    doubled = []
    for line, other in zip(atoms, second, strict=True):
        inside = line[22:26].strip() == "2" and line[12:16].strip() not in ("N", "CA", "C", "O")
        doubled += [line[:16] + "A" + line[17:], other[:16] + "B" + other[17:]] if inside else [line]
    prepared = prepare(write(tmp_path, "".join(doubled)))
    np.testing.assert_array_equal(prepared.positions, plain.positions)
    assert prepared.notes == ("alternate locations of SER 2: the first is taken",)


def test_solvent_ions_and_ligands_are_removed_and_counted(tmp_path):
    topology, positions = build_peptide("KAEV", seed=2)
    nm = positions.value_in_unit(unit.nanometer)
    wet, _, placed = solvated(
        *build_peptide("KAKV", seed=2)[:1], build_peptide("KAKV", seed=2)[1] / unit.nanometer, edge=2.4
    )
    prepared = prepare(write(tmp_path, text_of(wet, placed)))
    waters = sum(residue.name == "HOH" for residue in wet.residues())
    ions = sum(residue.name == "CL" for residue in wet.residues())
    assert ions and prepared.notes == (f"removed: {waters} waters (HOH), {ions} ion{'s' * (ions > 1)} (CL)",)
    assert residues_of(prepared) == ["LYS", "ALA", "LYS", "VAL"]

    ligand = "HETATM  900  C1  LIG B   1      30.000  30.000  30.000  1.00  0.00           C\n"
    ligand += "HETATM  901  C2  LIG B   1      31.500  30.000  30.000  1.00  0.00           C\n"
    prepared = prepare(write(tmp_path, text_of(topology, positions).replace("END", ligand + "END")))
    assert prepared.notes == ("removed: 1 other molecule (LIG)",)
    np.testing.assert_allclose(prepared.positions, nm, atol=6e-5)


@pytest.mark.parametrize(
    ("sequence", "residue", "kept"),
    [
        ("AKLV", 2, ("N", "CA", "C", "O", "CB", "CG")),
        ("AWLV", 2, ("N", "CA", "C", "O", "CB")),
        ("ARFV", 2, ("N", "CA", "C", "O")),
        ("AFYI", 4, ("N", "CA", "C", "O", "CB")),
    ],
)
def test_missing_side_chains_and_ends_are_built(sequence, residue, kept, tmp_path):
    topology, positions = build_peptide(sequence, seed=5)
    modeller = app.Modeller(topology, positions)
    lost = [
        a
        for a in modeller.topology.atoms()
        if a.element is app.element.hydrogen or (int(a.residue.id) == residue and a.name not in kept)
    ]
    modeller.delete([*{*lost, *[a for a in modeller.topology.atoms() if a.name == "OXT"]}])
    path = write(tmp_path, text_of(modeller.topology, modeller.positions))
    prepared, again = prepare(path, seed=3), prepare(path, seed=3)
    np.testing.assert_array_equal(prepared.positions, again.positions)
    assert names_of(prepared) == sorted(a.name for a in topology.atoms())
    assert prepared.notes[0].startswith("heavy atoms added: ") and "OXT of" in prepared.notes[0]
    # Bonds of what was built are bonds, and the residue is an L amino acid.
    for a, b in prepared.topology.bonds():
        assert np.linalg.norm(prepared.positions[a.index] - prepared.positions[b.index]) < 0.22
    ProteinChain.from_openmm(prepared.topology).resolved(prepared.positions)


MODIFIED = [
    ("MSE", "MET", {"SD": "SE"}, []),
    ("SEP", "SER", {}, ["P", "O1P", "O2P", "O3P"]),
    ("TPO", "THR", {}, ["P", "O1P", "O2P", "O3P"]),
    ("PTR", "TYR", {}, ["P", "O1P", "O2P", "O3P"]),
    ("MLY", "LYS", {}, ["CH1", "CH2"]),
    ("KCX", "LYS", {}, ["CX", "OQ1", "OQ2"]),
    ("NLE", "LEU", {"CD1": "CD", "CD2": "CE"}, []),  # known to PDBFixer
]


@pytest.mark.parametrize(("name", "parent", "names", "extra"), MODIFIED, ids=[m[0] for m in MODIFIED])
def test_modified_residues_become_their_parent(name, parent, names, extra, tmp_path):
    bare = peptide_with(parent, "AXGV", hydrogens=False)
    text = renamed(with_atoms_renamed(bare, {(parent, a): b for a, b in names.items()}), 2, name)
    more = "".join(
        f"HETATM  9{k:02d}  {atom:<3} {name} A   2      40.000  40.000  4{k}.000  1.00  0.00           {atom[0]}\n"
        for k, atom in enumerate(extra)
    )
    lines = text.splitlines(keepends=True)
    last = max(k for k, line in enumerate(lines) if line[22:26].strip() == "2")
    prepared = prepare(write(tmp_path, "".join([*lines[: last + 1], more, *lines[last + 1 :]])))
    assert residues_of(prepared) == ["ALA", parent, "GLY", "VAL"]
    assert f"modified residues without parameters in amber14: {name} 2 becomes {parent}" in prepared.notes
    assert names_of(prepared, 2) == names_of(prepare(write(tmp_path, bare)), 2)


@pytest.mark.parametrize("caps", ["ACE-{}-NME", "ACE-{}-NH2", "ACE-{}", "{}-NME", "{}-NH2"])
@pytest.mark.parametrize("letters", ["A", "P", "AKLV"])
def test_caps_are_built_and_read_again(caps, letters, tmp_path):
    sequence = caps.format(letters)
    prepared = prepare(sequence, seed=2)
    assert residues_of(prepared) == [name if len(name) == 3 else name for name in sequence_names(sequence)]
    path = write(tmp_path, text_of(prepared.topology, prepared.positions * unit.nanometer))
    again = prepare(path)
    assert again.notes == () and residues_of(again) == residues_of(prepared)
    np.testing.assert_allclose(again.positions, prepared.positions, atol=6e-5)
    lower = prepare(sequence.lower(), seed=2)
    np.testing.assert_array_equal(lower.positions, prepared.positions)
    bare = app.Modeller(prepared.topology, prepared.positions * unit.nanometer)
    bare.delete([a for a in bare.topology.atoms() if a.element is app.element.hydrogen])
    assert names_of(prepare(write(tmp_path, text_of(bare.topology, bare.positions)))) == names_of(prepared)
    angles = mdtraj.compute_omega(
        mdtraj.Trajectory(prepared.positions[None], mdtraj.Topology.from_openmm(prepared.topology)), periodic=False
    )[1]
    assert (np.abs(np.abs(angles) - np.pi) < 0.5).all(), "a peptide bond is not trans"


def sequence_names(sequence):
    """Residue names, by their definition."""
    names = []
    for part in sequence.split("-"):
        names += [part] if part in ("ACE", "NME", "NH2") else [ONE_TO_THREE[letter] for letter in part]
    return names


def test_caps_that_charmm_writes_within_residues(tmp_path):
    text = text_of(*build_peptide("ACE-AKL-NME", seed=1))
    inside = []
    for line in text.splitlines(keepends=True):
        if not line.startswith(("ATOM", "HETATM")):
            continue
        atom, residue = line[12:16].strip(), line[17:20]
        if residue == "ACE":
            atom = {"CH3": "CAY", "C": "CY", "O": "OY", "H1": "HY1", "H2": "HY2", "H3": "HY3"}[atom]
            line = line[:17] + "ALA " + line[21:22] + "   2" + line[26:]
        elif residue == "NME":
            atom = {"N": "NT", "H": "HNT", "C": "CAT", "H1": "HT1", "H2": "HT2", "H3": "HT3"}[atom]
            line = line[:17] + "LEU " + line[21:22] + "   4" + line[26:]
        inside.append("ATOM  " + line[6:12] + (f" {atom:<3}" if len(atom) < 4 else atom) + line[16:])
    prepared = prepare(write(tmp_path, "".join(inside)))
    assert residues_of(prepared) == ["ACE", "ALA", "LYS", "LEU", "NME"]
    assert names_of(prepared) == names_of(prepare("ACE-AKL-NME"))


def test_a_molecule_that_a_box_has_split_is_made_whole(tmp_path):
    topology, positions = build_peptide("AKLV", seed=1)
    nm = positions.value_in_unit(unit.nanometer)
    box = 2.2
    wrapped = (nm - nm.mean(0)) % box
    assert np.linalg.norm(wrapped[1:] - wrapped[:-1], axis=1).max() > 1
    topology.setUnitCellDimensions(openmm.Vec3(box, box, box) * unit.nanometer)
    prepared = prepare(write(tmp_path, text_of(topology, wrapped * unit.nanometer)))
    assert prepared.notes == ("the molecule was split across the periodic box and has been made whole",)
    moved = prepared.positions - prepared.positions.mean(0)
    np.testing.assert_allclose(moved, nm - nm.mean(0), atol=2e-4)


def test_a_chain_that_is_closed_head_to_tail_is_refused(tmp_path):
    with pytest.raises(UnsupportedTopologyError, match=r"GLY 1 N and GLY 4 C are 0\.1\d nm apart: the chain is closed"):
        prepare(write(tmp_path, ring()))
