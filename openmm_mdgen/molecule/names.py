"""Names of residues and atoms, as AMBER, CHARMM, GROMACS and the PDB write them, in terms of those of the PDB.

A *variant* is a residue in one state of protonation, under AMBER's name. A *parent* is the standard residue that stands
for a variant or for a modified residue.
"""

from __future__ import annotations

from openmm_mdgen.geometry.residues import ATOM14_NAMES, RESTYPE_INDEX

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

# Modified residues, in the PDB's names: the standard residue whose atoms they extend. Some lack an atom of it, and are
# refused for that.
MODIFIED_PARENTS = {
    **dict.fromkeys("AYA ABA AIB ALM BNN CHG DHA DNP FLA HAC MAA ORD PRR TIH TPQ".split(), "ALA"),
    **dict.fromkeys("ACL AGM ARM ARN ARGN CIR HAR HMR".split(), "ARG"),
    **dict.fromkeys("MEN".split(), "ASN"),
    **dict.fromkeys("2AS ASA ASB ASK ASL ASQ BHD IAS".split(), "ASP"),
    **dict.fromkeys(
        "BCS BUC C5C C6C CAF CAS CCS CEA CME CSD CSO CSP CSS CSW CSX CY1 CY3 CYG CYQ EFC OCS PEC PR3 PYX SCH SCS SCY "
        "SEC SHC SMC SOC".split(),
        "CYS",
    ),
    **dict.fromkeys("5HP CGU GGL GMA PCA".split(), "GLU"),
    **dict.fromkeys("GL3 GLZ GSC MPQ MSA NMC SAR".split(), "GLY"),
    **dict.fromkeys("3AH HIC HIN MHS NEM NEP".split(), "HIS"),
    **dict.fromkeys("IIL".split(), "ILE"),
    **dict.fromkeys("BUG CLE MK8 MLE NLE NLN NLP".split(), "LEU"),
    **dict.fromkeys("5OW ALY BTK KCX LLP LLY LYM LYZ M2L M3L MLY MLZ ORN PYL SHR SLZ TRG".split(), "LYS"),
    **dict.fromkeys("CXM FME MHO MSE OMT SME".split(), "MET"),
    **dict.fromkeys("DAH HPQ PHI PHL".split(), "PHE"),
    **dict.fromkeys("HY3 HYP".split(), "PRO"),
    **dict.fromkeys("MIS OAS S1P SAC SEL SEP SET SP1 SP2 SVA".split(), "SER"),
    **dict.fromkeys("ALO BMT T1P THP1 THP2 TPO".split(), "THR"),
    **dict.fromkeys("HTR LTR TPL TRO".split(), "TRP"),
    **dict.fromkeys("IYR PAQ PTR STY TP1 TP2 TYB TYI TYM TYQ TYRM TYS TYY Y1P".split(), "TYR"),
    **dict.fromkeys("DIV MVA".split(), "VAL"),
}

# Modified residues for which amber14 has parameters, but not at the N terminus: the heavy atoms by which they extend
# their parent, and their hydrogens with the atoms that carry them, named as by the PDB.
WITH_PARAMETERS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "HYP": (
        ("OD1",),
        {"HA": "CA", "HB2": "CB", "HB3": "CB", "HG": "CG", "HD1": "OD1", "HD22": "CD", "HD23": "CD"},
    ),
}

# Bonds of the atoms by which a modified residue extends its parent, for readers that make none.
MODIFIED_BONDS = {
    "SEP": "OG-P P-O1P P-O2P P-O3P",
    "TPO": "OG1-P P-O1P P-O2P P-O3P",
    "PTR": "OH-P P-O1P P-O2P P-O3P",
    "TYS": "OH-S S-O1 S-O2 S-O3",
    "HYP": "CG-OD1",
    "MLZ": "NZ-CM",
    "MLY": "NZ-CH1 NZ-CH2",
    "M3L": "NZ-CM1 NZ-CM2 NZ-CM3",
    "ALY": "NZ-CH CH-OH CH-CH3",
    "KCX": "NZ-CX CX-OQ1 CX-OQ2",
    "CSO": "SG-OD",
    "CSD": "SG-OD1 SG-OD2",
    "OCS": "SG-OD1 SG-OD2 SG-OD3",
    "CME": "SG-SD SD-CE CE-CZ CZ-OH",
    "SMC": "SG-CS",
    "SAR": "N-CN",
    "MLE": "N-CN",
    "MVA": "N-CN",
    "FME": "N-CN CN-O1",
}

# D amino acids, in the PDB's names, with the standard residue that each is the mirror image of.
D_RESIDUES = {
    "DAL": "ALA",
    "DAR": "ARG",
    "DSG": "ASN",
    "DAS": "ASP",
    "DCY": "CYS",
    "DGN": "GLN",
    "DSP": "ASP",
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
_HEAVY_ATOM_ALIASES = {"ILE": {"CD": "CD1"}, "MET": {"SE": "SD"}, "CYS": {"SE": "SG"}}
# Hydrogens whose names do not tell which atom carries them.
_HYDROGEN_CARRIERS = {
    **dict.fromkeys("H HN HN1 HN2 HN3 H1 H2 H3 HT1 HT2 HT3 D D1 D2 D3".split(), "N"),
    **dict.fromkeys("HXT HO HOXT HT2B HO2".split(), "OXT"),
}


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
    elif residue in WITH_PARAMETERS:
        known = tuple(name for name, carrier in WITH_PARAMETERS[residue][1].items() if carrier == atom)
    elif atom == "N":
        known = ("H", "H2", "H3")
    elif count == 1:
        known = (f"H{atom[1:]}",)
    else:
        first = 2 if count == 2 and atom[0] == "C" else 1  # those of CH2 are 2 and 3, those of NH2 and CH3 from 1
        known = tuple(f"H{atom[1:]}{k}" for k in range(first, first + count))
    return (known + tuple(f"H{atom}{k}" for k in range(count)))[:count]


def hydrogen_carrier(name: str, residue: str) -> str | None:
    """The heavy atom that carries a hydrogen, as far as the hydrogen's name tells.

    A hydrogen is named after the letter and number of its heavy atom: HG12 is one of those of CG1.

    Parameters
    ----------
    name : str
        The hydrogen's name as written; digits may stand first, as in ``1HB``.
    residue : str
        Standard name of its residue.

    Returns
    -------
    str or None
        The PDB's name of the heavy atom; None where the name follows no convention.
    """
    name = name.upper()
    digits = len(name) - len(name.lstrip("0123456789"))
    name = name[digits:] + name[:digits]
    if name in _HYDROGEN_CARRIERS and not (residue == "TRP" and name == "HH2"):
        return _HYDROGEN_CARRIERS[name]
    if len(name) < 2 or name[0] not in "HD":
        return None
    rest = name[1:]
    heavy = [atom for atom in ATOM14_NAMES[residue] if atom and atom not in ("N", "C", "O")]
    numbered = [atom for atom in heavy if rest.startswith(atom[1:])]
    if numbered:
        return max(numbered, key=len)
    alone = [atom for atom in heavy if atom[1] == rest[0]]  # such as HD2 of the one delta carbon of ILE
    return alone[0] if len(alone) == 1 else None
