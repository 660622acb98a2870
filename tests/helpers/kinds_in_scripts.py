"""Molecules as a script gives them: an OpenMM topology with positions."""

import io
from collections.abc import Callable

import numpy as np
from openmm import app, unit

import spellings as sp
from molecule_kinds import OWN_FIELDS, Case, Kind, Structure
from openmm_mdgen.geometry.residues import THREE_TO_ONE
from pdb_texts import exchanged, mirrored, renamed, ring


def read(text: str) -> Structure:
    """As OpenMM reads it."""
    made = app.PDBFile(io.StringIO(text))
    return made.topology, np.array(made.getPositions(asNumpy=True).value_in_unit(unit.nanometer))


def closed() -> Structure:
    """A ring of glycines, with the bond that closes it."""
    topology, positions = read(ring())
    ends = list(topology.atoms())
    topology.addBond(next(a for a in ends if a.name == "N"), next(a for a in reversed(ends) if a.name == "C"))
    return topology, positions


def of_amber() -> Structure:
    topology = app.AmberPrmtopFile(str(OWN_FIELDS / "ahlv.prmtop")).topology
    return topology, app.AmberInpcrdFile(str(OWN_FIELDS / "ahlv.rst7")).getPositions(asNumpy=True)._value


def of_charmm() -> Structure:
    positions = app.CharmmCrdFile(str(OWN_FIELDS / "isha.crd")).positions
    return app.CharmmPsfFile(str(OWN_FIELDS / "isha.psf")).topology, np.array(positions / unit.nanometer)


def patched() -> Structure:
    topology, positions = sp.patched("ACE-AKL-NME")
    return topology, np.array(positions / unit.nanometer)


def scripted(content: Callable[[], str], residues: str = "") -> Case:
    return Case(lambda: read(content()), residues)


KINDS = [
    Kind(
        "Peptide with free ends or caps",
        "ACE, FOR; NME (NMA), NH2 (NHE); CHARMM's patches within a residue",
        "works",
        {
            "free": scripted(lambda: sp.peptide("AKLV"), "AKLV"),
            "ACE, NME": scripted(lambda: sp.peptide("ACE-A-NME"), "ACE-A-NME"),
            "FOR, NH2": scripted(lambda: sp.capped("AL", "FOR", "NH2"), "FOR-AL-NH2"),
            "patches": Case(patched, "ACE-AKL-NME"),
            "patches of a PDB file": scripted(lambda: sp.caps_within("ACE-AKL-NH2"), "ACE-AKL-NH2"),
        },
    ),
    Kind(
        "Neutral ends",
        "two hydrogens on the first N, a hydrogen HXT on the last oxygen",
        "works: they stay neutral",
        {"acid": scripted(lambda: sp.acid("AKLV"), "AKLV")},
    ),
    Kind(
        "Names of AMBER, CHARMM and GROMACS",
        "NALA, HSE, ASPP, HISE, LYSH, OT1, O1, HN, CD of ILE, hydrogens after the heavy atoms",
        "works",
        {
            "AMBER": scripted(lambda: sp.amber("AHLV", {2: "HIE"}), "AHLV"),
            "CHARMM": scripted(lambda: sp.charmm("IKHA", {3: "HSE"}), "IKHA"),
            "GROMACS": scripted(lambda: sp.gromacs("GKLIS", {2: "LYSH"}), "GKLIS"),
            "ASPP": scripted(lambda: sp.with_form("ASH", "ASPP"), "ADLV"),
        },
    ),
    Kind(
        "Topologies of .prmtop and .psf",
        "`AmberPrmtopFile`, `CharmmPsfFile`",
        "works",
        {"AMBER": Case(of_amber, "AHLV"), "CHARMM": Case(of_charmm, "ISHA")},
    ),
    Kind(
        "Modified residues",
        "MSE, SEP, TPO, PTR, HYP, MLY, KCX, with your own System",
        "works: the network is told the standard residue, and the other atoms move with the group that carries them",
        {
            name: scripted(lambda m=(name, *rest): sp.modified(*m), "A" + THREE_TO_ONE[rest[0]] + "GV")
            for name, *rest in sp.MODIFIED[:7]
        },
    ),
    Kind(
        "Water, ions and ligands",
        "in chains of their own",
        "works: they stay, where the start has them",
        {
            "water": scripted(sp.in_water, "KAKV"),
            "ligand": scripted(
                lambda: "".join(sp.atoms(sp.peptide("AKLV"))) + "TER\n" + sp.hetero("LIG", "C1", "C2"), "AKLV"
            ),
        },
    ),
    Kind(
        "Several chains",
        "two peptides, each in a chain of the topology",
        'refused without `chains="each"`, which generates each chain by itself',
        {"two": scripted(sp.two)},
        refused="all protein, and the model takes one chain",
    ),
    Kind(
        "Two peptides in one chain of the topology",
        "an OXT or a cap within a chain: the TER record is missing",
        "refused: give each of them a chain of its own",
        {"no TER": scripted(lambda: sp.two("A", ""))},
        refused="a chain ends here, and a second one begins at chain 'A', residue ALA 1",
    ),
    Kind(
        "D amino acids, nucleic acids, unknown amino acids",
        "by name, or by geometry",
        "refused: only L amino acids are known",
        {
            "name": scripted(lambda: renamed(sp.peptide("AKLV"), 3, "DLE")),
            "geometry": scripted(lambda: mirrored(sp.peptide("AKLV"), 3)),
            "allothreonine": scripted(lambda: exchanged(sp.peptide("AKTV"), 3, "OG1", "CG2")),
            "nucleic acid": scripted(lambda: "".join(sp.atoms(sp.peptide("AKLV"))) + "TER\n" + sp.nucleotide("DA")),
            "unknown": scripted(lambda: renamed(sp.peptide("AKLV"), 3, "XYZ")),
        },
        refused="DLE 3: D-LEU|3, atom C[AB]: mirrored|a nucleic acid|XYZ 3, atom CA: not one of the 20",
    ),
    Kind(
        "Disulfides and cyclic peptides",
        "an S-S bond, two CYX, a bond from the last C to the first N",
        "works: generated frames keep them closed",
        {
            "disulfide": scripted(sp.disulfide, "CGGC"),
            "CYX": scripted(lambda: sp.disulfide("CYX"), "CGGC"),
            "cycle": Case(closed, "GGGG"),
            "cycle without its bond": scripted(ring, "GGGG"),
        },
    ),
    Kind(
        "Missing atoms",
        "a side chain without its end",
        "refused: add them, as `openmm-mdgen run` does",
        {"side chain": scripted(lambda: sp.without(sp.peptide("AKLV"), lambda a: sp.name(a) in ("NZ", "HZ1")))},
        refused="LYS 2, atom NZ: missing heavy atom",
    ),
    Kind(
        "Gap in the chain, or a molecule torn over a box that is not known",
        "bonded atoms more than 0.25 nm apart",
        "refused: both atoms are named",
        {
            "gap": scripted(lambda: sp.without(sp.peptide("AKLVG"), lambda a: sp.number(a) == 3)),
            "torn": scripted(sp.torn),
        },
        refused="residues are missing between them|ALA 1, atom O, atom index 7 are bonded, but 2.11 nm apart",
    ),
    Kind(
        "A molecule torn over its periodic box",
        "a topology with box vectors",
        "works: it is made whole",
        {"box": scripted(sp.split_by_box, "AKLV")},
    ),
]
