"""Names of residues and atoms, as AMBER, CHARMM, GROMACS and the PDB write them, in terms of those of the PDB.

A *variant* is a residue in one state of protonation, under AMBER's name. A *parent* is the standard residue that stands
for a variant or for a modified residue.
"""

from __future__ import annotations

from openmm_mdgen.geometry.residues import RESTYPE_INDEX

STANDARD = frozenset(RESTYPE_INDEX)  # three-letter names of the 20 amino acids

# AMBER's names of variants, and the standard residue of each.
VARIANT_PARENTS = {
    **dict.fromkeys(("HID", "HIE", "HIP"), "HIS"),
    **dict.fromkeys(("CYX", "CYM"), "CYS"),
    "ASH": "ASP",
    "GLH": "GLU",
    "LYN": "LYS",
}

# Other programs' names of variants. Where they are a standard residue's name, they mean its charged or reduced form.
_VARIANT_ALIASES = {
    **dict.fromkeys(("HSD", "HISD", "HISA", "HID1"), "HID"),
    **dict.fromkeys(("HSE", "HISE", "HISB", "HIE1"), "HIE"),
    **dict.fromkeys(("HSP", "HISH", "HISP", "HIPH", "HSH", "HIH"), "HIP"),
    **dict.fromkeys(("ASPP", "ASPH", "ASH1"), "ASH"),
    **dict.fromkeys(("GLUP", "GLUH", "GLH1"), "GLH"),
    **dict.fromkeys(("LSN", "LYSN", "LYN1"), "LYN"),
    **dict.fromkeys(("LYSH", "LYP", "LYSP"), "LYS"),
    **dict.fromkeys(("CYS2", "CYSS", "CYX1", "CSS2"), "CYX"),
    **dict.fromkeys(("CYSM", "CYM1"), "CYM"),
    **dict.fromkeys(("CYSH", "CYN"), "CYS"),
}

CAP_ALIASES = {
    "ACE": "ACE",
    "FOR": "FOR",
    **dict.fromkeys(("NME", "NMA", "NAC"), "NME"),
    **dict.fromkeys(("NH2", "NHE"), "NH2"),
}

# Modified residues, in the PDB's names: the standard residue whose atoms they extend.
MODIFIED_PARENTS = {
    **dict.fromkeys(("MSE", "FME", "MHO", "SME", "OMT"), "MET"),
    **dict.fromkeys(("SEP", "SAC", "OAS", "S1P", "SP1", "SP2"), "SER"),
    **dict.fromkeys(("TPO", "T1P", "THP1", "THP2"), "THR"),
    **dict.fromkeys(("PTR", "TYS", "TYI", "TYQ", "STY", "IYR", "Y1P", "TP1", "TP2"), "TYR"),
    **dict.fromkeys(("HYP", "HY3"), "PRO"),
    **dict.fromkeys(("MLY", "M2L", "MLZ", "M3L", "ALY", "KCX", "LLP", "SLZ", "LYZ", "BTK"), "LYS"),
    **dict.fromkeys(("CSO", "CSD", "CME", "CSX", "OCS", "SMC", "CAS", "CSS", "CSW", "CYG", "CAF"), "CYS"),
    **dict.fromkeys(("CGU", "PCA"), "GLU"),
    **dict.fromkeys(("AGM", "HMR", "CIR", "ARN", "ARGN"), "ARG"),
    **dict.fromkeys(("MEN",), "ASN"),
    **dict.fromkeys(("HIC", "MHS", "NEP", "HIN"), "HIS"),
    **dict.fromkeys(("TYM", "TYRM"), "TYR"),
}

# D amino acids, in the PDB's names, with the standard residue that each is the mirror image of.
D_RESIDUES = {
    "DAL": "ALA",
    "DAR": "ARG",
    "DSG": "ASN",
    "DAS": "ASP",
    "DCY": "CYS",
    "DGN": "GLN",
    "DGL": "GLU",
    "DHI": "HIS",
    "DIL": "ILE",
    "DLE": "LEU",
    "DLY": "LYS",
    "MED": "MET",
    "DPN": "PHE",
    "DPR": "PRO",
    "DSN": "SER",
    "DTH": "THR",
    "DTR": "TRP",
    "DTY": "TYR",
    "DVA": "VAL",
}

WATERS = frozenset(
    "HOH DOD H2O WAT SOL TIP TIP2 TIP3 TIP4 TIP5 TP3 TP4 TP5 T3P T4P T3H T4H SPC SPCE OPC OPC3 SWM4".split()
)
NUCLEOTIDES = frozenset(
    "A C G U I DA DC DG DT DU DI RA RC RG RU ADE CYT GUA THY URA A3 A5 C3 C5 G3 G5 U3 U5 DA3 DA5 DC3 DC5 DG3 DG5 DT3 "
    "DT5".split()
)

_CARBOXYL = {
    **dict.fromkeys(("O1", "OT1", "OC1", "OCT1", "O'"), "O"),
    **dict.fromkeys(("O2", "OT2", "OC2", "OCT2", "OT", "O''"), "OXT"),
}
_CAP_HYDROGENS: dict[str, dict[str, tuple[str, ...]]] = {
    "ACE": {"CH3": ("H1", "H2", "H3")},
    "FOR": {"C": ("H",)},
    "NME": {"N": ("H",), "C": ("H1", "H2", "H3")},
    "NH2": {"N": ("HN1", "HN2")},
}
_HEAVY_ATOM_ALIASES = {"ILE": {"CD": "CD1"}, "MET": {"SE": "SD"}}


def variant(name: str) -> str | None:
    """The form of a standard residue that a name asks for.

    Parameters
    ----------
    name : str
        A residue's name in any of the programs' spellings, such as ``HSE``, ``HISE``, ``ASPP`` or ``NALA`` (AMBER's
        residue at an N terminus).

    Returns
    -------
    str or None
        AMBER's name of the variant, or the standard name; None where the name is of no standard residue.
    """
    name = name.upper()
    for candidate in (name, name[1:] if len(name) == 4 and name[0] in "NC" else ""):
        if candidate in STANDARD or candidate in VARIANT_PARENTS:
            return candidate
        if candidate in _VARIANT_ALIASES:
            return _VARIANT_ALIASES[candidate]
    return None


def parent(name: str) -> str | None:
    """The standard residue that a standard, protonated or modified residue's name stands for; None for all others."""
    form = variant(name)
    if form is None:
        return MODIFIED_PARENTS.get(name.upper())
    return VARIANT_PARENTS.get(form, form)


def heavy_atom(name: str, residue: str) -> str:
    """The PDB's name of a heavy atom.

    Parameters
    ----------
    name : str
        The atom's name as written.
    residue : str
        Standard name of its residue.
    """
    return _HEAVY_ATOM_ALIASES.get(residue, {}).get(name) or _CARBOXYL.get(name, name)


def hydrogens(atom: str, count: int, residue: str) -> tuple[str, ...]:
    """The PDB's names of the hydrogens of a heavy atom.

    Parameters
    ----------
    atom : str
        The PDB's name of the heavy atom.
    count : int
        Number of hydrogens that are bonded to it.
    residue : str
        Standard name of the residue, or that of a cap.

    Returns
    -------
    tuple of str
        `count` names.
    """
    if residue in _CAP_HYDROGENS:
        known = _CAP_HYDROGENS[residue].get(atom, ())
    elif atom == "N":
        known = ("H", "H2", "H3")
    elif count == 1:
        known = (f"H{atom[1:]}",)
    else:
        first = 2 if count == 2 and atom[0] == "C" else 1  # those of CH2 are 2 and 3, those of NH2 and CH3 from 1
        known = tuple(f"H{atom[1:]}{k}" for k in range(first, first + count))
    return (known + tuple(f"H{atom}{k}" for k in range(count)))[:count]
