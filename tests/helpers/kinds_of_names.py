"""Peptides with every kind of ends, names and hydrogens, as the command takes them."""

import gzip

import spellings as sp
from molecule_kinds import FOUR, Case, File, Kind, form, pdb
from pdb_texts import OLD_PDB, peptide_with, renamed, with_atoms_renamed

KINDS = [
    Kind(
        "Peptide with free ends",
        "a sequence, all in upper or all in lower case: `AKLV`, `aklv`",
        "works",
        {"upper": Case("AKLV", FOUR), "lower": Case("aklv", FOUR), "two": Case("GG", "GLY GLY")}
        | {"ten": Case("KFRSTHDPMI", "LYS PHE ARG SER THR HIS ASP PRO MET ILE")},
    ),
    Kind(
        "Peptide with caps, also of one residue",
        "a sequence with hyphens: `ACE-A-NME`, `ACE-AKLV-NH2`",
        "works",
        {
            "dipeptide": Case("ACE-A-NME", "ACE ALA NME"),
            "amide": Case("ACE-AKLV-NH2", f"ACE {FOUR} NH2"),
            "one cap": Case("P-NME", "PRO NME"),
            "lower": Case("ace-w-nme", "ACE TRP NME"),
        },
    ),
    Kind(
        "Sequence in mixed case",
        "`AkLV`",
        "refused: some write D residues in lower case",
        {"mixed": Case("AkLV")},
        refused="mixes upper and lower case",
    ),
    Kind(
        "Sequence with a letter of no amino acid",
        "`AKXV`, `A-K-L-V`",
        "refused: the letter is named",
        {"X": Case("AKXV"), "hyphens": Case("A-K-L-V")},
        refused="'X' in 'AKXV': not among|hyphens part caps",
    ),
    Kind(
        "One residue without a cap",
        "`A`, or a file of one amino acid",
        "refused: amber14 has no parameters for it; cap it, as in `ACE-A-NME`",
        {"sequence": Case("A"), "file": pdb(lambda: "".join(sp.atoms(sp.peptide("AKLV"))[:12]))},
        refused="needs at least two residues, or one and a cap",
    ),
    Kind(
        "File of a peptide",
        "`.pdb`, `.ent`, `.cif`, `.mmcif`, `.gro`, also compressed (`.gz`)",
        "works",
        {
            "pdb": pdb(lambda: sp.peptide("AKLV"), FOUR),
            "ent": Case(File(lambda: sp.peptide("AKLV"), "given.ent"), FOUR),
            "pdb.gz": Case(File(lambda: gzip.compress(sp.peptide("AKLV").encode()), "given.pdb.gz"), FOUR),
            "cif": Case(File(lambda: sp.cif("AKLV"), "given.cif"), FOUR),
            "cif.gz": Case(File(lambda: gzip.compress(sp.cif("AKLV").encode()), "given.cif.gz"), FOUR),
            "gro": Case(File(lambda: sp.gro(sp.peptide("AKLV")), "given.gro"), FOUR),
            "of PDBFixer": pdb(lambda: sp.from_pdbfixer("AHKDG", 7.0), "ALA HIS LYS ASP GLY"),
            "of PDBFixer, acid": pdb(lambda: sp.from_pdbfixer("AHKDG", 1.0), "ALA HIS LYS ASP GLY", charge=2),
            "ten residues": pdb(lambda: sp.peptide("KFRSTHDPMI"), "LYS PHE ARG SER THR HIS ASP PRO MET ILE"),
            "other order of atoms": pdb(lambda: sp.in_other_order("AKLV"), FOUR),
        },
    ),
    Kind(
        "Caps in a file",
        "residues ACE, NME (also NMA), NH2 (also NHE)",
        "works",
        {
            "ACE, NME": pdb(lambda: sp.capped("AL", "ACE", "NME"), "ACE ALA LEU NME"),
            "ACE": pdb(lambda: sp.capped("AL", "ACE", None), "ACE ALA LEU"),
            "NH2": pdb(lambda: sp.capped("AL", None, "NH2"), "ALA LEU NH2"),
            "names of the builder": pdb(lambda: sp.peptide("ACE-AKLV-NH2"), f"ACE {FOUR} NH2"),
            "names of AMBER": pdb(sp.amber_caps, "ACE ALA NME"),
            "no ACE at all": pdb(lambda: sp.peptide("AKLV-NME"), f"{FOUR} NME"),
            "NMA": pdb(lambda: sp.capped("A", "ACE", "NME", {"NME": "NMA"}), "ACE ALA NME"),
            "NHE": pdb(lambda: sp.capped("A", "ACE", "NH2", {"NH2": "NHE"}), "ACE ALA NH2"),
        },
        told=r"\A\Z|hydrogens renamed",
    ),
    Kind(
        "Caps that CHARMM writes within a residue",
        "atoms CAY, CY, OY and NT, CAT",
        "works: they become residues ACE and NME",
        {"both": pdb(lambda: sp.caps_within("ACE-AKL-NME"), "ACE ALA LYS LEU NME")}
        | {"amide": pdb(lambda: sp.caps_within("ACE-AKL-NH2"), "ACE ALA LYS LEU NH2")},
        told="hydrogens renamed",
    ),
    Kind(
        "Formyl cap",
        "residue FOR",
        "refused: amber14 has no parameters for it; in a script it works with your own System",
        {"FOR": pdb(lambda: sp.capped("AL", "FOR", "NME"))},
        refused="FOR 1 is a formyl cap, for which amber14 has no parameters",
    ),
    Kind(
        "Neutral ends",
        "two hydrogens on the first N, a hydrogen HXT on the last oxygen",
        "works: they become charged, as amber14 has them, and a line tells",
        {
            "amine": pdb(sp.neutral_amine, FOUR),
            "acid": pdb(lambda: sp.acid("AKLV"), FOUR),
        },
        told="hydrogens? (added|removed)",
    ),
    Kind(
        "AMBER's names",
        "NALA, CVAL, HID, HIE, HIP, ASH, GLH, LYN, CYM",
        "works: protonated as the name says",
        {
            "ends": pdb(lambda: sp.amber("AHLV", {2: "HIE"}), "ALA HIE LEU VAL"),
            **{name: form(name, name) for name in ("HID", "HIP", "ASH", "GLH", "LYN", "CYM")},
        },
        told=r"\A\Z|renamed",
    ),
    Kind(
        "CHARMM's names",
        "HSD, HSE, HSP, ASPP, GLUP, LSN; atoms HN, HB1, OT1 and OT2, CD of ILE",
        "works: protonated as the name says; a line tells what is renamed",
        {
            "atoms": pdb(lambda: sp.charmm("GKLIS"), "GLY LYS LEU ILE SER"),
            "HSD": pdb(lambda: sp.charmm("IKHA", {3: "HSE"}), "ILE LYS HIE ALA"),
            **{old: form(new, old) for old, new in [("HSD", "HID"), ("HSP", "HIP")]},
            **{old: form(new, old) for old, new in [("ASPP", "ASH"), ("GLUP", "GLH"), ("LSN", "LYN")]},
        },
        told="renamed",
    ),
    Kind(
        "GROMACS' names",
        "HISE, HISD, HISH, LYSH, ASPH, GLUH; O1 and O2; hydrogens after the heavy atoms; `.gro`",
        "works: protonated as the name says; a line tells what is renamed",
        {
            "atoms": pdb(lambda: sp.gromacs("GKLIS", {2: "LYSH"}), "GLY LYS LEU ILE SER"),
            "gro": Case(File(lambda: sp.gro(sp.gromacs("ILHA", {3: "HISE"})), "given.gro"), "ILE LEU HIE ALA"),
            **{old: form(new, old) for old, new in [("HISD", "HID"), ("HISH", "HIP")]},
            **{old: form(new, old) for old, new in [("ASPH", "ASH"), ("GLUH", "GLH")]},
        },
        told="renamed",
    ),
    Kind(
        "Protonated by its hydrogens",
        "HIS, ASP, GLU or LYS with the hydrogens of another form",
        "works: the hydrogens stay",
        {
            name: pdb(lambda name=name: peptide_with(name), f"ALA {parent} LEU VAL", charge=charge)
            for name, parent, charge in [("HIP", "HIS", 1), ("ASH", "ASP", 0), ("LYN", "LYS", 0), ("CYM", "CYS", -1)]
        },
    ),
    Kind(
        "Neutral side chain at a free end",
        "ASH, GLH, LYN or CYM as the first or the last residue",
        "refused: amber14 has no parameters for it there; cap the chain",
        {"ASH": pdb(lambda: renamed(peptide_with("ASP", "AXLD"), 4, "ASH"))},
        refused="ASH at a free end of the chain",
    ),
    Kind(
        "No hydrogens",
        "heavy atoms alone",
        "works: they are added for the residue's name, or for `--ph` (7 by default)",
        {
            "plain": pdb(lambda: sp.bare("AKLV"), FOUR),
            "HIP": pdb(lambda: renamed(sp.bare("AHLV"), 2, "HIP"), "ALA HIP LEU VAL"),
            "caps": pdb(lambda: sp.bare("ACE-AKLV-NME"), f"ACE {FOUR} NME"),
            "acid": pdb(lambda: sp.bare("GDLV"), "GLY ASP LEU VAL", ph=2.0, charge=0),
            "PeptideBuilder": pdb(lambda: sp.from_peptide_builder("AKEV"), "ALA LYS GLU VAL"),
        },
        told="hydrogens added for pH",
    ),
    Kind(
        "Hydrogens under unknown names",
        "H001, deuterium",
        "works: they are named by the atoms that they are bonded to",
        {
            "numbered": pdb(sp.unnamed_hydrogens, FOUR),
            "deuterium": pdb(sp.deuterated, FOUR),
        },
        told="hydrogens renamed",
    ),
    Kind(
        "Old names of the PDB",
        "1HB, 2HB, HN",
        "works: they are renamed, and a line tells",
        {"old": pdb(lambda: with_atoms_renamed(sp.peptide("SIGE"), OLD_PDB), "SER ILE GLY GLU")},
        told="hydrogens renamed",
    ),
    Kind(
        "Missing side-chain atoms or OXT",
        "a file from an X-ray structure, or of a fragment",
        "works: they are added, and a line tells which",
        {
            "OXT": pdb(lambda: sp.without(sp.bare("AKLV"), lambda a: sp.name(a) == "OXT"), FOUR),
            "side chain": pdb(
                lambda: sp.without(
                    sp.bare("AWLV"), lambda a: sp.number(a) == 2 and sp.name(a) not in ("N", "CA", "C", "O")
                ),
                "ALA TRP LEU VAL",
            ),
            "no O": pdb(lambda: sp.without(sp.bare("AKLV"), lambda a: sp.number(a) == 2 and sp.name(a) == "O"), FOUR),
        },
        told="heavy atoms added",
    ),
    Kind(
        "Missing backbone atoms",
        "a residue without N, CA or C; a trace of CA",
        "refused: only side chains and the last oxygen can be added",
        {
            "CA": pdb(lambda: sp.without(sp.peptide("AKLV"), lambda a: sp.number(a) == 2 and sp.name(a) == "CA")),
            "trace": pdb(lambda: sp.without(sp.peptide("AKLV"), lambda a: sp.name(a) != "CA")),
        },
        refused="LYS 2 lacks CA|ALA 1 has no atom C: its backbone",
    ),
]
