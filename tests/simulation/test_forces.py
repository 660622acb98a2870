"""Which forces are a force field's, and which were added to it."""

import copy
import warnings
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from fields import AMBER, boxed, field, system_of, tetrapeptide
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.simulation.bonding import TopologyBonds
from openmm_mdgen.simulation.forces import biases
from openmm_mdgen.simulation.honoured import Honoured
from openmm_mdgen.simulation.training_conditions import differences

OWN_FIELDS = Path(__file__).parents[1] / "data" / "own_fields"

# What is of a force field passes


def honoured(topology, system, moved):
    """Looks at a System as a simulation does."""
    found = Honoured(topology, system, trained_temperature=300, trained_force_field="", is_judged=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.check_system(moved)


FIELDS = {
    "amber14 and GBn2": ("amber14-all.xml", "implicit/gbn2.xml"),
    "amber99sb and OBC": ("amber99sbildn.xml", "amber99_obc.xml"),
    "charmm36": ("charmm36.xml",),
}


@pytest.mark.parametrize("constraints", [None, app.HBonds, app.AllBonds, app.HAngles])
@pytest.mark.parametrize("files", FIELDS.values(), ids=FIELDS.keys())
def test_force_fields_pass_without_a_word(files, constraints):
    topology, _ = tetrapeptide()
    system = system_of(files, constraints)
    honoured(topology, system, np.arange(topology.getNumAtoms()))


@pytest.mark.slow
def test_amoeba_passes_without_a_word_and_has_no_charges_to_compare():
    topology, _ = tetrapeptide()
    system = field("amoeba2018.xml", "amoeba2018_gk.xml").createSystem(topology)
    moved = np.arange(topology.getNumAtoms())
    honoured(topology, system, moved)
    solvent, charges = differences(topology, system, moved, AMBER)
    assert "no NonbondedForce" in charges and "implicit solvent is generalized Kirkwood" in solvent


@pytest.mark.parametrize(
    ("water", "model"),
    [("amber14/tip3pfb.xml", "tip3p"), ("amber14/tip4pfb.xml", "tip4pew"), ("charmm36/water.xml", "tip3p")],
)
@pytest.mark.parametrize("rigid", [True, False])
def test_a_box_of_water_with_a_barostat_passes_without_a_word(water, model, rigid):
    if model == "tip4pew" and not rigid:
        pytest.skip("a model of rigid water")
    topology, forces = boxed(water, model)
    system = forces.createSystem(
        topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.9 * unit.nanometer,
        constraints=app.HBonds,
        rigidWater=rigid,
    )
    system.addForce(openmm.MonteCarloBarostat(1, 300))
    honoured(topology, system, np.arange(tetrapeptide()[0].getNumAtoms()))


def test_terms_as_charmm_and_gromacs_files_give_them_pass():
    topology, _ = tetrapeptide()
    graph, moved = TopologyBonds(topology), np.arange(topology.getNumAtoms())
    of = {(a.residue.index, a.name): a.index for a in topology.atoms()}
    system = openmm.System()
    urey_bradley, improper = openmm.HarmonicBondForce(), openmm.CustomTorsionForce("k*theta^2")
    urey_bradley.addBond(of[0, "N"], of[0, "C"], 0.25, 100)
    for names in (("CG", "CD1", "CE1", "CZ"), ("CG", "CB", "CD1", "CD2")):  # GROMOS holds rings flat, CHARMM centres
        improper.addTorsion(*(of[2, name] for name in names), [])
    for force in (
        urey_bradley,
        improper,
        openmm.CMAPTorsionForce(),
        openmm.DrudeForce(),
        openmm.CustomNonbondedForce("0"),
    ):
        system.addForce(force)
    assert biases(system, graph, moved) == []


def of_a_file(name, *parameters):
    """Topology and System of AMBER's or CHARMM's files."""
    if name.endswith(".prmtop"):
        file = app.AmberPrmtopFile(str(OWN_FIELDS / name))
        return file.topology, file.createSystem(constraints=app.HBonds)
    file = app.CharmmPsfFile(str(OWN_FIELDS / name))
    known = app.CharmmParameterSet(*(str(OWN_FIELDS / parameter) for parameter in parameters))
    return file.topology, file.createSystem(known, constraints=app.HBonds)


@pytest.mark.parametrize("files", [("ahlv.prmtop",), ("isha.psf", "isha.rtf", "isha.prm")], ids=lambda files: files[0])
def test_systems_of_amber_s_and_charmm_s_own_files_pass_without_a_word(files):
    topology, system = of_a_file(*files)
    honoured(topology, system, np.arange(topology.getNumAtoms()))


def test_one_capped_residue_passes_without_a_word():
    topology, _ = build_peptide("ACE-G-NME", seed=1)
    system = field("amber14-all.xml").createSystem(topology, constraints=app.HBonds)
    honoured(topology, system, np.arange(topology.getNumAtoms()))


# What was added at places where a force field has terms too


def of(*names):
    """Numbers of atoms of the tetrapeptide HPFS, each given as its residue, from 0, and its name."""
    index = {(a.residue.index, a.name): a.index for a in tetrapeptide()[0].atoms()}
    return [index[name] for name in names]


PHI = [(1, "C"), (2, "N"), (2, "CA"), (2, "C")]
PSI = [(2, "N"), (2, "CA"), (2, "C"), (3, "N")]
PROLINE_PHI = [(0, "C"), (1, "N"), (1, "CA"), (1, "C")]
CHIRALITY = [(2, "CA"), (2, "N"), (2, "C"), (2, "CB")]


def torsions(kind, *places):
    def make():
        if kind is openmm.CustomTorsionForce:
            force = kind("0.5*k*(theta-1)^2")
            force.addGlobalParameter("k", 100)
        else:
            force = kind()
        for place in places:
            values = {openmm.CustomTorsionForce: [[]], openmm.PeriodicTorsionForce: [1, 0.0, 10.0]}
            force.addTorsion(*of(*place), *values.get(kind, [1.0] * 6))
        return force

    return make


def bond(kind, *pair):
    def make():
        force = kind() if kind is openmm.HarmonicBondForce else kind("(r-0.3)^2")
        force.addBond(*of(*pair), *([0.3, 10.0] if kind is openmm.HarmonicBondForce else [[]]))
        return force

    return make


def angle(kind, *places):
    def make():
        force = kind() if kind is openmm.HarmonicAngleForce else kind("(theta-2)^2")
        force.addAngle(*of(*places), *([2.0, 10.0] if kind is openmm.HarmonicAngleForce else [[]]))
        return force

    return make


def compound():
    force = openmm.CustomCompoundBondForce(5, "10*(cos(dihedral(p1,p2,p3,p4))+cos(dihedral(p2,p3,p4,p5)))")
    force.addBond(of((1, "C"), (2, "N"), (2, "CA"), (2, "C"), (3, "N")), [])
    return force


def between_groups():
    force = openmm.CustomNonbondedForce("10*(r-0.5)^2")
    for _ in range(tetrapeptide()[0].getNumAtoms()):
        force.addParticle([])
    force.addInteractionGroup(of((0, "CA")), of((3, "CA"), (3, "CB")))
    return force


def without_parameters():
    force = openmm.CustomNonbondedForce("10*step(0.3-r)*(r-0.3)^2")
    for _ in range(tetrapeptide()[0].getNumAtoms()):
        force.addParticle([])
    return force


def hydrogen_bond():
    force = openmm.CustomHbondForce("(distance(d1,a1)-0.3)^2")
    force.addDonor(*of((2, "N")), -1, -1, [])
    force.addAcceptor(*of((0, "O")), -1, -1, [])
    return force


def three_bodies():
    force = openmm.CustomManyParticleForce(3, "distance(p1,p2)*distance(p2,p3)")
    for _ in range(tetrapeptide()[0].getNumAtoms()):
        force.addParticle([], 0)
    return force


def alchemical():
    force = openmm.ATMForce(0, 0, 0, 0, 0, 0, 0, 0, 1)
    for _ in range(tetrapeptide()[0].getNumAtoms()):
        force.addParticle(openmm.Vec3(0, 0, 0))
    force.addForce(openmm.HarmonicBondForce())
    return force


CUSTOM, PERIODIC = openmm.CustomTorsionForce, openmm.PeriodicTorsionForce
ADDED = {
    "phi": (torsions(CUSTOM, PHI), "CustomTorsionForce acts on PHE 3 N"),
    "phi and psi": (torsions(CUSTOM, PHI, PSI), "CustomTorsionForce acts on PHE 3 N"),
    "phi, periodic": (torsions(PERIODIC, PHI), "PeriodicTorsionForce acts on PHE 3 N"),
    "psi, Ryckaert-Bellemans": (torsions(openmm.RBTorsionForce, PSI), "RBTorsionForce acts on PHE 3 CA"),
    "phi of proline": (torsions(CUSTOM, PROLINE_PHI), "CustomTorsionForce acts on PRO 2 N"),
    "chirality": (torsions(CUSTOM, CHIRALITY), "CustomTorsionForce acts on PHE 3 N"),
    "alpha carbons": (torsions(CUSTOM, [(k, "CA") for k in range(4)]), "CustomTorsionForce acts on HIS 1 CA"),
    "bond": (bond(openmm.CustomBondForce, (2, "C"), (3, "N")), "CustomBondForce acts on PHE 3 C"),
    "two bonds apart": (bond(openmm.CustomBondForce, (2, "N"), (2, "C")), "CustomBondForce acts on PHE 3 N"),
    "alpha carbons' distance": (bond(openmm.HarmonicBondForce, (1, "CA"), (2, "CA")), "HarmonicBondForce acts on PRO"),
    "angle": (angle(openmm.CustomAngleForce, (2, "N"), (2, "CA"), (2, "C")), "CustomAngleForce acts on PHE 3 N"),
    "harmonic angle": (angle(openmm.HarmonicAngleForce, (2, "N"), (2, "CA"), (2, "C")), "HarmonicAngleForce acts on"),
    "compound": (compound, "CustomCompoundBondForce acts on PRO 2 C"),
    "groups": (between_groups, "CustomNonbondedForce acts on HIS 1 CA"),
    "wall": (without_parameters, "CustomNonbondedForce acts on HIS 1 N"),
    "hydrogen bond": (hydrogen_bond, "CustomHbondForce acts on HIS 1 O"),
    "three bodies": (three_bodies, "CustomManyParticleForce acts on HIS 1 N"),
    "alchemical transfer": (alchemical, "ATMForce is not felt"),
}


@pytest.mark.parametrize("first", [False, True], ids=["after the force field", "before the force field"])
@pytest.mark.parametrize("files", [("amber14-all.xml",), ("charmm36.xml",)], ids=lambda files: files[0])
@pytest.mark.parametrize(("make", "says"), ADDED.values(), ids=ADDED.keys())
def test_a_term_that_was_added_is_told_by_force_and_atom(make, says, files, first):
    topology, _ = tetrapeptide()
    system, force = system_of(files, app.HBonds), make()
    force.setForceGroup(7)
    if first:
        plain = system
        system = copy.deepcopy(plain)
        while system.getNumForces():
            system.removeForce(0)
        system.addForce(force)
        for other in plain.getForces():
            system.addForce(copy.deepcopy(other))
    else:
        system.addForce(force)
    found = Honoured(topology, system, trained_temperature=300, trained_force_field="", is_judged=False)
    with pytest.warns(UserWarning) as caught:
        found.check_system(np.arange(topology.getNumAtoms()))
    assert [says in str(warning.message) for warning in caught] == [True]


def test_restraints_of_all_backbone_torsions_are_told():
    topology, _ = build_peptide("GGGG", seed=1)
    index = {(a.residue.index, a.name): a.index for a in topology.atoms()}
    system, force = field("amber14-all.xml").createSystem(topology), openmm.PeriodicTorsionForce()
    for k in range(3):
        force.addTorsion(*(index[at] for at in [(k, "C"), (k + 1, "N"), (k + 1, "CA"), (k + 1, "C")]), 1, 0.0, 10.0)
        force.addTorsion(*(index[at] for at in [(k, "N"), (k, "CA"), (k, "C"), (k + 1, "N")]), 1, 0.0, 10.0)
    system.addForce(force)
    (bias,) = biases(system, TopologyBonds(topology), np.arange(topology.getNumAtoms()))
    assert bias.label == "PeriodicTorsionForce"


def test_a_force_named_by_its_user_is_told_by_that_name():
    topology, _ = tetrapeptide()
    system, force = system_of(("amber14-all.xml",), app.HBonds), torsions(CUSTOM, PSI)()
    force.setName("umbrella")
    system.addForce(force)
    (bias,) = biases(system, TopologyBonds(topology), np.arange(topology.getNumAtoms()))
    assert bias.label == "CustomTorsionForce 'umbrella'"


class PlumedForce:
    """What openmm-plumed's force of that name says of itself: nothing of atoms, and its script."""

    def __init__(self, script):
        self._script = script

    def getScript(self):
        return self._script

    def getName(self):
        return "PlumedForce"


class Holds:
    """A System of some forces without constraints."""

    def __init__(self, *forces):
        self._forces = forces

    def getForces(self):
        return self._forces

    def getNumConstraints(self):
        return 0


@pytest.mark.parametrize(
    ("script", "sampler"),
    [
        ("d: TORSION ATOMS=5,7,9,15\nMETAD ARG=d SIGMA=0.35 HEIGHT=1.2 PACE=500", "PLUMED's metadynamics"),
        ("d: DISTANCE ATOMS=1,10\nRESTRAINT ARG=d AT=0.5 KAPPA=100", ""),
    ],
)
def test_plumed_s_metadynamics_is_told_from_its_restraints(script, sampler):
    topology, _ = tetrapeptide()
    (bias,) = biases(Holds(PlumedForce(script)), TopologyBonds(topology), np.arange(topology.getNumAtoms()))
    assert (bias.label, bias.atom, bias.sampler) == ("PlumedForce", None, sampler)
