"""Texts of PDB files, and changes of them that make the spellings and the faults of files that people have."""

import io
from functools import cache

import numpy as np
import openmm
from openmm import app, unit

from openmm_mdgen.geometry.residues import ONE_TO_THREE
from openmm_mdgen.md.peptides import build_peptide

FORMS = {"HID": "HIS", "HIE": "HIS", "HIP": "HIS", "ASH": "ASP", "GLH": "GLU", "LYN": "LYS", "CYM": "CYS", "CYX": "CYS"}


def text_of(topology, positions):
    file = io.StringIO()
    app.PDBFile.writeFile(topology, positions, file, keepIds=True)
    return file.getvalue()


def peptide_with(form, letters="AXLV", *, hydrogens=True):
    """PDB text of a peptide whose second residue has a form, made by OpenMM's Modeller."""
    standard = FORMS.get(form, form)
    letter = next(one for one, three in ONE_TO_THREE.items() if three == standard)
    topology, positions = build_peptide(letters.replace("X", letter), seed=4)
    modeller = app.Modeller(topology, positions)
    modeller.delete([atom for atom in modeller.topology.atoms() if atom.element is app.element.hydrogen])
    if hydrogens:
        variant = {"CYM": "CYX"}.get(form, form)
        modeller.addHydrogens(variants=[None, variant, *[None] * (len(letters) - 2)])
    return text_of(modeller.topology, modeller.positions)


def renamed(text, number, name):
    """PDB text with another name of a residue, of up to four letters."""
    lines = text.splitlines(keepends=True)
    return "".join(
        line[:17] + f"{name:<4}" + line[21:] if line.startswith("ATOM") and int(line[22:26]) == number else line
        for line in lines
    )


def with_atoms_renamed(text, names):
    """PDB text with other names of atoms; a key is a name, or a residue's name and one."""
    lines = []
    for line in text.splitlines(keepends=True):
        if line.startswith("ATOM"):
            atom, residue = line[12:16].strip(), line[17:20]
            new = names.get((residue, atom), names.get(atom, atom))
            line = line[:12] + (f" {new:<3}" if len(new) < 4 else new) + line[16:]
        lines.append(line)
    return "".join(lines)


def write(folder, text, name="given.pdb"):
    path = folder / name
    path.write_text(text)
    return path


CHARMM = {
    "H": "HN",
    **{(name, "HB3"): "HB1" for name in ("LYS", "LEU", "SER", "ASP", "GLU", "PHE", "TYR", "HIS", "MET", "ARG", "GLN")},
    **{(name, "HG3"): "HG1" for name in ("LYS", "GLU", "MET", "ARG", "GLN")},
    **{("LYS", "HD3"): "HD1", ("LYS", "HE3"): "HE1", ("GLY", "HA3"): "HA1", ("SER", "HG"): "HG1"},
    **{("ILE", "CD1"): "CD", ("ILE", "HD11"): "HD1", ("ILE", "HD12"): "HD2", ("ILE", "HD13"): "HD3"},
    **{("ILE", "HG13"): "HG11"},
}
OLD_PDB = {
    f"H{place}{k}": f"{k}H{place}"
    for place in ("B", "G", "D", "E", "Z", "G1", "G2", "D1", "D2", "E2", "H1", "H2")
    for k in (1, 2, 3)
}


def mirrored(text, number):
    """PDB text in which one residue is its mirror image in the plane of N, CA and C."""
    lines = text.splitlines()
    xyz = {
        line[12:16].strip(): np.array([float(line[k : k + 8]) for k in (30, 38, 46)])
        for line in lines
        if line[22:26].strip() == str(number)
    }
    normal = np.cross(xyz["N"] - xyz["CA"], xyz["C"] - xyz["CA"])
    normal /= np.linalg.norm(normal)
    made = []
    for line in lines:
        if line[22:26].strip() == str(number) and line[12:16].strip() not in ("N", "CA", "C", "O", "H"):
            point = xyz[line[12:16].strip()]
            point = point - 2 * np.dot(point - xyz["CA"], normal) * normal
            line = line[:30] + "".join(f"{value:8.3f}" for value in point) + line[54:]
        made.append(line + "\n")
    return "".join(made)


def exchanged(text, number, first, second):
    """PDB text in which two atoms of a residue have changed places, each with its own hydrogens."""
    lines = text.splitlines(keepends=True)

    def found(*names):
        inside = (k for k, line in enumerate(lines) if line[22:26].strip() == str(number))
        return [k for k in inside if lines[k][12:16].strip() in names]

    def at(k):
        return np.array([float(lines[k][j : j + 8]) for j in (30, 38, 46)])

    places = {name: at(*found(name)) for name in (first, second)}
    for here, there in ((first, second), (second, first)):
        carried = [here, f"H{here[1:]}", *(f"H{here[1:]}{k}" for k in (1, 2, 3))]
        for k in found(*carried):
            point = at(k) + places[there] - places[here]
            lines[k] = lines[k][:30] + "".join(f"{value:8.3f}" for value in point) + lines[k][54:]
    return "".join(lines)


def with_seqres(text, residues, chain="A"):
    """PDB text that states the residues of a chain, thirteen a line as the format has it."""
    names = residues.split()
    parts = [names[k : k + 13] for k in range(0, len(names), 13)]
    lines = (f"SEQRES {n:3d} {chain} {len(names):4d}  {' '.join(part)}\n" for n, part in enumerate(parts, 1))
    return "".join(lines) + text


def moved(lines, shift, chain):
    return "".join(line[:21] + chain + line[22:30] + f"{float(line[30:38]) + shift:8.3f}" + line[38:] for line in lines)


def beside(text, atom):
    """Coordinates 0.15 nm from an atom's."""
    line = next(line for line in text.splitlines() if atom in line)
    return f"{float(line[30:38]) + 1.5:8.3f}" + line[38:54]


@cache
def ring():
    """PDB text of a chain closed head to tail, without hydrogens: a ring of glycines."""
    topology, positions = build_peptide("GGGG", seed=1)
    modeller = app.Modeller(topology, positions)
    modeller.delete([a for a in modeller.topology.atoms() if a.element is app.element.hydrogen or a.name == "OXT"])
    system = openmm.System()
    pull = openmm.HarmonicBondForce()
    atoms = list(modeller.topology.atoms())
    for atom in atoms:
        system.addParticle(atom.element.mass)
    bonds = [(a.index, b.index) for a, b in modeller.topology.bonds()]
    first = next(a.index for a in atoms if a.name == "N")
    last = [a.index for a in atoms if a.name == "C"][-1]
    nm = np.array(modeller.positions.value_in_unit(unit.nanometer))
    for i, j in bonds:
        pull.addBond(i, j, np.linalg.norm(nm[i] - nm[j]), 1e5)
    pull.addBond(first, last, 0.133, 1e5)
    away = openmm.CustomNonbondedForce("10*exp(-(r/0.12)^2)")
    for _ in atoms:
        away.addParticle([])
    for i, j in [*bonds, (first, last)]:
        away.addExclusion(i, j)
    system.addForce(pull)
    system.addForce(away)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(nm)
    openmm.LocalEnergyMinimizer.minimize(context)
    return text_of(modeller.topology, context.getState(positions=True).getPositions())


def hydroxyproline(sequence="AKPGV", *, place=3, cut=()):
    """PDB text without hydrogens, in which a proline, the residue of a number, is HYP; some of its atoms are cut."""
    lines = []
    for line in text_of(*build_peptide(sequence, seed=4)).splitlines(keepends=True):
        ours, atom = line.startswith("ATOM") and int(line[22:26]) == place, line[12:16].strip()
        if ours and atom == "CG":
            centre = np.array([float(line[k : k + 8]) for k in (30, 38, 46)])
        if ours and atom == "HG3":  # its oxygen is 0.143 nm from CG
            hydrogen = np.array([float(line[k : k + 8]) for k in (30, 38, 46)])
            oxygen = centre + 1.43 * (hydrogen - centre) / np.linalg.norm(hydrogen - centre)
            xyz = "".join(f"{value:8.3f}" for value in oxygen)
            lines.append(f"{line[:12]} OD1{line[16:30]}{xyz}{line[54:76]} O\n")
        elif not line.startswith(("ATOM", "HETATM")) or line[76:78].strip() != "H":
            lines.append(line)
    kept = (line for line in lines if line[12:16].strip() not in cut or line[22:26].strip() != str(place))
    return renamed("".join(kept), place, "HYP")
