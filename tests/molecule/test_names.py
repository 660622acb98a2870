"""Names of residues and atoms in the spellings of AMBER, CHARMM, GROMACS and the PDB."""

import pytest

from openmm_mdgen.molecule import names


@pytest.mark.parametrize(
    ("spellings", "form", "parent"),
    [
        ("HIS NHIS CHIS", "HIS", "HIS"),
        ("HID HSD HISD NHID", "HID", "HIS"),
        ("HIE HSE HISE CHIE", "HIE", "HIS"),
        ("HIP HSP HISH NHIP", "HIP", "HIS"),
        ("ASH ASPP ASPH", "ASH", "ASP"),
        ("GLH GLUP GLUH", "GLH", "GLU"),
        ("LYN LSN", "LYN", "LYS"),
        ("LYS LYSH LYP NLYS", "LYS", "LYS"),
        ("CYX CYS2 NCYX", "CYX", "CYS"),
        ("CYM", "CYM", "CYS"),
        ("CYS CYSH", "CYS", "CYS"),
        ("ALA NALA CALA ala", "ALA", "ALA"),
        ("VAL CVAL NVAL", "VAL", "VAL"),
    ],
)
def test_programs_names_of_variants(spellings, form, parent):
    for name in spellings.split():
        assert names.variant(name) == form and names.parent(name) == parent


@pytest.mark.parametrize(("name", "parent"), [("MSE", "MET"), ("SEP", "SER"), ("HYP", "PRO"), ("KCX", "LYS")])
def test_modified_residues_have_a_parent_and_no_variant(name, parent):
    assert names.variant(name) is None and names.parent(name) == parent


@pytest.mark.parametrize("name", ["ACE", "NME", "NH2", "FOR", "DAL", "HOH", "DA", "NA", "ATP", "XXX", "NXXX"])
def test_other_names_are_of_no_amino_acid(name):
    assert names.variant(name) is None and names.parent(name) is None


def test_heavy_atoms_of_other_programs():
    assert [names.heavy_atom(name, "VAL") for name in ("OT1", "OT2", "OC1", "OC2", "O1", "O2", "OXT", "CG1")] == [
        *("O", "OXT") * 3,
        "OXT",
        "CG1",
    ]
    assert names.heavy_atom("CD", "ILE") == "CD1" and names.heavy_atom("CD", "LYS") == "CD"
    assert names.heavy_atom("SE", "MET") == "SD"


def test_tables_name_a_residue_once():
    tables = [
        names.STANDARD,
        names.VARIANT_PARENTS,
        names.CAP_ALIASES,
        names.MODIFIED_PARENTS,
        names.D_RESIDUES,
        names.WATERS,
        names.NUCLEOTIDES,
    ]
    every = [name for table in tables for name in table]
    assert len(every) == len(set(every))
