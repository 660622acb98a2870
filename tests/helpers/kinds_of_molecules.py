"""Molecules that are more than a peptide, or not quite one, as the command takes them."""

from openmm import app

import spellings as sp
from molecule_kinds import FOUR, OWN_FIELDS, Case, File, Kind, pdb
from pdb_texts import exchanged, hydroxyproline, mirrored, peptide_with, renamed, ring, with_seqres

EACH = {"each_chain": True}
KINDS = [
    Kind(
        "Modified residues",
        "MSE, SEP, TPO, PTR, MLY, KCX and those that PDBFixer knows",
        "works: they become the standard residue, as amber14 has no parameters for them, and a line tells; in a script "
        "they stay, with your own System",
        {
            name: pdb(lambda m=(name, *rest): sp.modified(*m), f"ALA {rest[0]} GLY VAL")
            for name, *rest in sp.MODIFIED
            if name != "HYP"
        },
        told="modified residues without parameters in amber14: .* becomes",
    ),
    Kind(
        "Hydroxyproline",
        "HYP, which amber14 has parameters for",
        "works: it stays, and the network is told proline; at the start of a chain it becomes PRO, and a line tells",
        {
            "inside": pdb(hydroxyproline, "ALA LYS HYP GLY VAL"),
            "last": pdb(lambda: hydroxyproline("AKGP", place=4), "ALA LYS GLY HYP"),
            "first": pdb(lambda: hydroxyproline("PGAV", place=1), "PRO GLY ALA VAL"),
        },
        told="hydrogens added",
    ),
    Kind(
        "Amino acids that are not known",
        "a backbone N, CA, C under a name of no known residue",
        "refused: replace it by one of the 20",
        {"XYZ": pdb(lambda: renamed(sp.peptide("AKLV"), 3, "XYZ"))},
        refused="XYZ 3 is an amino acid that is not known",
    ),
    Kind(
        "D amino acids",
        "DLE, DAL and so on, or an L name with the mirror image's geometry",
        "refused: only L amino acids are known",
        {
            "name": pdb(lambda: renamed(sp.peptide("AKLV"), 3, "DLE")),
            "small letters": pdb(lambda: renamed(sp.peptide("AKLV"), 3, "dle")),
            "geometry": pdb(lambda: mirrored(sp.peptide("AKLV"), 3)),
        },
        refused="(DLE|dle) 3 is D-LEU|LEU 3 is a D amino acid",
    ),
    Kind(
        "Alloisoleucine, allothreonine",
        "IIL and ALO, or ILE and THR with a mirrored CB",
        "refused: only the 20 usual amino acids are known",
        {
            "name": pdb(lambda: renamed(exchanged(sp.peptide("ATLV"), 2, "OG1", "CG2"), 2, "ALO")),
            "threonine": pdb(lambda: exchanged(sp.peptide("ATLV"), 2, "OG1", "CG2")),
            "isoleucine": pdb(lambda: exchanged(sp.peptide("AILV"), 2, "CG1", "CG2")),
        },
        refused="THR 2 is allothreonine: its CB is the mirror image|ILE 2 is alloisoleucine: its CB is the mirror",
    ),
    Kind(
        "Disulfide",
        "CYS without hydrogen on S, CYX, CYS2",
        "works: generated frames keep it closed",
        {
            name: pdb(lambda name=name: sp.disulfide(name), f"{made} GLY GLY {made}")
            for name, made in (("CYS", "CYS"), ("CYX", "CYX"), ("CYS2", "CYX"))
        },
        told=r"\A\Z|\Aresidues renamed: CYS2 1 is CYX, CYS2 4 is CYX\Z",
    ),
    Kind(
        "Half of a disulfide",
        "CYX without a partner",
        "refused: name it CYS, or give its partner",
        {"CYX": pdb(lambda: renamed(peptide_with("CYS"), 2, "CYX"))},
        refused="named as one half of a disulfide",
    ),
    Kind(
        "Cyclic peptides",
        "closed head to tail, or by side chains (a lactam)",
        "refused: only open chains without cross-links are known",
        {"head to tail": pdb(ring), "lactam": pdb(sp.lactam)},
        refused="the chain is closed head to tail|side chains are bonded to each other",
    ),
    Kind(
        "Sugars, lipids and other molecules on the chain",
        "a residue 0.15 nm from an atom of the chain",
        "refused: remove it if the chain is of use without it",
        {"sugar": pdb(sp.glycosylated)},
        refused="NAG 1, atom C1 is bonded to ALA 1",
    ),
    Kind(
        "Nucleic acids",
        "DNA or RNA, alone or beside a peptide",
        "refused: only proteins are known",
        {
            "DNA": pdb(lambda: sp.nucleotide("DA")),
            "beside": pdb(lambda: "".join(sp.atoms(sp.peptide("AKLV"))) + "TER\n" + sp.nucleotide("G")),
        },
        refused="is of a nucleic acid",
    ),
    Kind(
        "No peptide at all",
        "water, or a small molecule",
        "refused: there is no amino acid",
        {"water": pdb(lambda: sp.hetero("HOH", "O")), "ligand": pdb(lambda: sp.hetero("LIG", "C1", "C2", "O1"))},
        refused="it holds no amino acid",
    ),
    Kind(
        "Several chains",
        "TER, another chain's letter, or an OXT between them",
        "refused without `--each-chain`, which generates each chain by itself",
        {
            "two": pdb(sp.two),
            "same letter": pdb(lambda: sp.two("A")),
            "no TER": pdb(lambda: sp.two("A", "")),
            "caps": pdb(lambda: sp.two("A", "", "ACE-A-NME")),
            "gro": Case(File(lambda: sp.gro(sp.two()), "given.gro")),
        },
        refused="2 protein chains",
    ),
    Kind(
        "Several chains, with `--each-chain`",
        "the same",
        "works: contacts between chains are not modelled, and frames in which they overlap are counted",
        {
            "two": pdb(sp.two, f"{FOUR} {FOUR}", **EACH),
            "caps": pdb(lambda: sp.two(sequence="ACE-A-NME"), "ACE ALA NME ACE ALA NME", **EACH),
        },
    ),
    Kind(
        "Chains without a TER between them, with `--each-chain`",
        "an OXT or a cap within a chain",
        "works: a line tells where the second chain begins",
        {"no TER": pdb(lambda: sp.two("A", ""), f"{FOUR} {FOUR}", **EACH)},
        told="a second chain begins at ALA 1, after the OXT of VAL 4",
    ),
    Kind(
        "Gap in the chain",
        "C and the next N more than 0.25 nm apart, whatever the numbers of the residues",
        "refused: residues are missing; model them",
        {
            "numbered": pdb(lambda: sp.without(sp.peptide("AKLVG"), lambda a: sp.number(a) == 3)),
            "renumbered": pdb(
                lambda: sp.renumbered(
                    sp.without(sp.peptide("AKLVG"), lambda a: sp.number(a) == 3), lambda n: f"{n - (n > 3):4d}"
                )
            ),
        },
        refused="nm apart: (residues are missing|the chain is broken, or residues are missing)",
    ),
    Kind(
        "Residues that the file names and has no atoms of",
        "SEQRES, or mmCIF's pdbx_poly_seq_scheme, longer than the chain",
        "works: a line tells which residues the chain is without; model them if they matter",
        {"ends": pdb(lambda: with_seqres(sp.peptide("AKLV"), "GLY MET ALA LYS LEU VAL SER"), FOUR)},
        told="has no atoms of, and the chain is without them: GLY, MET before ALA 1; SER after VAL 4",
    ),
    Kind(
        "Alternate locations",
        "A and B, of one residue or of two kinds of residue",
        "works: the first is taken, and a line tells",
        {
            "one kind": pdb(sp.alternates, "ALA SER LEU VAL"),
            "two kinds": pdb(lambda: sp.alternates("THR"), "ALA SER LEU VAL"),
        },
        told="alternate locations of SER 2: the first is taken",
    ),
    Kind(
        "Several models",
        "MODEL records, as of NMR",
        "works: the first is taken, and a line tells",
        {"two": pdb(sp.models, "ALA SER LEU VAL")},
        told="the first of 2 models is taken",
    ),
    Kind(
        "Water, ions and ligands",
        "a box of water; metal ions; a small molecule",
        "works: they are removed, and a line counts them; in a script they stay",
        {
            "water": pdb(sp.in_water, "LYS ALA LYS VAL"),
            "ligand": pdb(lambda: sp.peptide("AKLV").replace("END", sp.hetero("LIG", "C1", "C2") + "END"), FOUR),
            "ion": pdb(lambda: sp.peptide("AKLV").replace("END", sp.hetero("ZN", "ZN") + "END"), FOUR),
            "same chain": pdb(lambda: "".join(sp.atoms(sp.peptide("AKLV"))) + sp.hetero("HOH", "O", chain="A"), FOUR),
        },
        told="removed: ",
    ),
    Kind(
        "Numbers of residues",
        "insertion codes, negative numbers, numbers from 100",
        "works",
        {
            "insertion codes": pdb(lambda: sp.renumbered(sp.peptide("AKLV"), lambda n: "  52" + " ABC"[n - 1]), FOUR),
            "negative": pdb(lambda: sp.renumbered(sp.peptide("AKLV"), lambda n: f"{n - 3:4d}"), FOUR),
            "hundred": pdb(lambda: sp.renumbered(sp.peptide("AKLV"), lambda n: f"{n + 99:4d}"), FOUR),
        },
    ),
    Kind(
        "A molecule torn over its periodic box",
        "coordinates wrapped into the box that the file names",
        "works: it is made whole, and a line tells",
        {
            "box": pdb(sp.split_by_box, FOUR),
            "cif": Case(File(lambda: sp.split_by_box(app.PDBxFile), "given.cif"), FOUR),
        },
        told="split across the periodic box and has been made whole",
    ),
    Kind(
        "Faults of a file",
        "an atom twice, an unknown heavy atom, NaN, no atom at all",
        "refused: residue and atom are named",
        {
            "twice": pdb(lambda: "".join([*sp.atoms(sp.peptide("AKLV"))[:1], *sp.atoms(sp.peptide("AKLV"))])),
            "foreign": pdb(lambda: sp.peptide("AKLV").replace(" NZ  LYS", " NX  LYS")),
            "NaN": pdb(lambda: sp.with_nan("AKLV")),
            "empty": pdb(lambda: "END\n"),
        },
        refused="ALA 1 has atom N more than once|LYS 2 has atom NX|ALA 1, atom N: its position|it holds no atom",
    ),
    Kind(
        "A file that is cut short",
        "no END after the last atom (`.pdb`), no # (`.cif`), fewer atoms than announced (`.gro`), a last line in part",
        "refused where the last residue is not complete; between residues, a line tells that some may be missing",
        {
            "in a side chain": pdb(lambda: "".join(sp.atoms(sp.peptide("AKLV"))[:61])),
            "in a line": pdb(lambda: sp.peptide("AKLV")[:3000]),
            "gro": Case(File(lambda: sp.gro(sp.peptide("AKLV"))[:1000], "given.gro")),
        },
        refused="seems to be cut short|has no coordinates|it is cut short",
    ),
    Kind(
        "Coordinates in another unit",
        "nanometre in a `.pdb` file, ångström in a `.gro` file, or zeros",
        "refused: the unit of each format is told",
        {
            "nanometre": pdb(lambda: sp.scaled("AKLV", 0.1)),
            "ångström": Case(File(lambda: sp.gro(sp.scaled("AKLV", 10)), "given.gro")),
            "zeros": pdb(lambda: sp.scaled("AKLV", 0)),
        },
        refused="not in the unit of the file's format",
    ),
    Kind(
        "AMBER's and CHARMM's own files",
        "`x.prmtop --positions x.rst7`, `x.psf --positions x.crd --parameters x.prm`; also with SEP, TPO and others",
        "works: minimised in their own force field, which `simulate` stays in; modified residues stay",
        {
            "AMBER": Case(OWN_FIELDS / "ahlv.prmtop", "ALA HIS LEU VAL", {"positions": OWN_FIELDS / "ahlv.rst7"}),
            "SEP": Case(OWN_FIELDS / "asepgv.prmtop", "ALA SEP GLY VAL", {"positions": OWN_FIELDS / "asepgv.rst7"}),
            "CHARMM": Case(
                OWN_FIELDS / "isha.psf",
                "ILE SER HIS ALA",
                {
                    "positions": OWN_FIELDS / "isha.crd",
                    "parameters": (OWN_FIELDS / "isha.rtf", OWN_FIELDS / "isha.prm"),
                },
            ),
        },
    ),
    Kind(
        "AMBER's or CHARMM's topology alone",
        "`x.prmtop` without `--positions`",
        "refused: it holds no positions",
        {"AMBER": Case(OWN_FIELDS / "ahlv.prmtop"), "CHARMM": Case(OWN_FIELDS / "isha.psf")},
        refused="holds no positions",
    ),
]
