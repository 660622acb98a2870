"""Clashes, breaks, chirality, bonds and angles of frames with planted faults."""

import math

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import Platform, app
from scipy.spatial.transform import Rotation

from openmm_mdgen.analysis.undefined import NotDefined
from openmm_mdgen.analysis.validity import CLASH, Geometry, GeometryCounter, merged
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.systems import implicit_system, langevin, positions_of, relaxed
from openmm_mdgen.report.energies import potential_energies
from structures import ALL_RESIDUES, peptide


def frames(sequence, n_frames=1):
    topology, positions = peptide(sequence)
    return mdtraj.Trajectory(np.tile(positions, (n_frames, 1, 1)), mdtraj.Topology.from_openmm(topology))


def geometry(trajectory) -> Geometry:
    counter = GeometryCounter(trajectory.topology)
    for start in range(0, trajectory.n_frames, 3):  # in pieces
        counter.add(trajectory.xyz[start : start + 3])
    return counter.result()


def index(trajectory, residue, name):
    return next(a.index for a in trajectory.topology.residue(residue).atoms if a.name == name)


def test_every_amino_acid_as_built_has_the_right_chirality_and_no_break():
    for letter in ALL_RESIDUES:
        found = geometry(frames(f"A{letter}A"))
        assert found.right_chirality == found.without_break == 1, letter


@pytest.mark.parametrize("letter", "ALIT")
def test_a_mirror_image_has_the_wrong_chirality_and_nothing_else_wrong(letter):
    trajectory = frames(f"G{letter}G", 4)
    trajectory.xyz[1] *= [1, 1, -1]
    found = geometry(trajectory)
    assert found.right_chirality == found.valid == 0.75
    assert found.without_clash == found.without_break == 1


@pytest.mark.parametrize(("residue", "centre", "ends"), [("I", "CB", ("CG1", "CG2")), ("T", "CB", ("OG1", "CG2"))])
def test_a_side_chains_own_centre_is_looked_at(residue, centre, ends):
    trajectory = frames(f"A{residue}A")
    pair = [index(trajectory, 1, name) for name in ends]
    trajectory.xyz[:, pair] = trajectory.xyz[:, pair[::-1]]
    assert geometry(trajectory).right_chirality == 0


def test_glycine_and_exchanged_methyl_names_have_no_chirality_to_be_wrong():
    mirrored = frames("GGG")
    mirrored.xyz[0] *= [1, 1, -1]
    assert geometry(mirrored).right_chirality == 1
    valine = frames("AVA")
    pair = [index(valine, 1, name) for name in ("CG1", "CG2")]
    valine.xyz[:, pair] = valine.xyz[:, pair[::-1]]
    assert geometry(valine).right_chirality == 1


def test_a_chain_pulled_apart_is_broken_from_a_fifth_of_a_nanometre():
    trajectory = frames("AAA", 5)
    after = [a.index for a in trajectory.topology.atoms if a.residue.index > 0]
    c, n = index(trajectory, 0, "C"), index(trajectory, 1, "N")
    bond = trajectory.xyz[0, n] - trajectory.xyz[0, c]
    for k, length in enumerate((0.133, 0.15, 0.19, 0.21, 1.0)):
        trajectory.xyz[k, after] += bond * (length / np.linalg.norm(bond) - 1)
    assert geometry(trajectory).without_break == 0.6


def test_a_hydrogen_that_left_is_a_broken_bond_and_no_chain_break():
    trajectory = frames("AMA", 4)
    h, ca = index(trajectory, 1, "HA"), index(trajectory, 1, "CA")
    bond = trajectory.xyz[0, h] - trajectory.xyz[0, ca]
    for k, length in enumerate((0.109, 0.125, 0.135, 0.3)):
        trajectory.xyz[k, h] = trajectory.xyz[0, ca] + bond / np.linalg.norm(bond) * length
    found = geometry(trajectory)
    assert found.unbroken == 0.5 and found.without_break == 1 and isinstance(found.rings, NotDefined)


def test_rings_of_proline_are_open_where_an_atom_or_a_hydrogen_of_them_is_off():
    topology, positions = peptide("PAP")
    trajectory = frames("PAP", 5)
    trajectory.xyz[:] = relaxed(topology, positions)
    assert geometry(trajectory).rings == 1
    for k, (residue, name, shift) in enumerate(((0, "CD", 0.05), (2, "CG", 0.05), (2, "HD3", 0.06), (1, "HB1", 0.5))):
        trajectory.xyz[k, index(trajectory, residue, name)] += [0, 0, shift]
    assert geometry(trajectory).rings == 0.4  # alanine has no ring


def test_real_md_holds_its_bonds_and_rings():
    """Of proline in the middle and at the start of a chain, at 350 K."""
    topology, positions = peptide("PGP")
    simulation = app.Simulation(
        topology, implicit_system(topology), langevin(seed=1), Platform.getPlatformByName("CPU")
    )
    simulation.context.setPositions(positions)
    simulation.context.setVelocitiesToTemperature(350, 1)
    simulation.step(500)
    xyz = []
    for _ in range(40):
        simulation.step(25)
        xyz.append(positions_of(simulation.context))
    found = geometry(mdtraj.Trajectory(np.array(xyz), mdtraj.Topology.from_openmm(topology)))
    assert found.unbroken == found.rings == 1


def test_clashes_are_pairs_more_than_three_bonds_apart_and_too_close():
    trajectory = frames("AAAA", 4)
    o, far = index(trajectory, 0, "O"), index(trajectory, 3, "CB")
    away = (trajectory.xyz[0, far] - trajectory.xyz[0, o]) / np.linalg.norm(
        trajectory.xyz[0, far] - trajectory.xyz[0, o]
    )
    offset = np.array([0.0, 3.0, 0.0])  # both leave the molecule, so that only their distance counts
    for k, distance in enumerate((CLASH * 0.5, CLASH * 0.99, CLASH * 1.01, CLASH * 3)):
        trajectory.xyz[k, o] = offset
        trajectory.xyz[k, far] = offset + distance * away
    assert geometry(trajectory).without_clash == 0.5


def test_atoms_within_three_bonds_or_hydrogens_never_clash():
    trajectory = frames("AVA")
    trajectory.xyz[0, index(trajectory, 1, "H")] = trajectory.xyz[0, index(trajectory, 2, "O")]
    trajectory.xyz[0, index(trajectory, 1, "CG1")] = trajectory.xyz[0, index(trajectory, 1, "N")] + 0.1
    before = geometry(frames("AVA")).without_clash
    assert before == 1 and geometry(trajectory).without_clash == 1


def test_bond_and_angle_statistics_equal_a_loop_over_atoms():
    trajectory = frames("ASK", 7)
    trajectory.xyz += np.random.default_rng(0).normal(0, 0.004, trajectory.xyz.shape)
    found = geometry(trajectory)
    heavy = [a for a in trajectory.topology.atoms if a.element.symbol != "H"]
    bonds = [(a, b) for a, b in trajectory.topology.bonds if a in heavy and b in heavy]
    lengths, angles = [], []
    for xyz in trajectory.xyz.astype(float):
        lengths += [
            math.dist(xyz[a.index], xyz[b.index])
            for a, b in bonds
            if {a.element.symbol, b.element.symbol} == {"C", "N"}
        ]
        for middle in heavy:
            ends = [b if a is middle else a for a, b in bonds if middle in (a, b)]
            for k, first in enumerate(ends):
                for second in ends[:k]:
                    if middle.element.symbol == "N" and first.element.symbol == second.element.symbol == "C":
                        u, v = (xyz[e.index] - xyz[middle.index] for e in (first, second))
                        angles.append(math.degrees(math.acos(u @ v / np.linalg.norm(u) / np.linalg.norm(v))))
    for histogram, values in ((found.bonds["C-N"], lengths), (found.angles["C-N-C"], angles)):
        assert histogram.counts.sum() == len(values)
        assert histogram.mean == pytest.approx(np.mean(values), abs=1e-5)
        assert histogram.deviation == pytest.approx(np.std(values), rel=1e-3)
    assert set(found.bonds) == {"C-C", "C-N", "C-O"}


def test_energies_are_those_of_openmm_and_refuse_other_molecules():
    topology, positions = peptide("AA")
    system = implicit_system(topology)
    trajectory = frames("AA", 2)
    trajectory.xyz[1] += np.random.default_rng(0).normal(0, 0.003, trajectory.xyz[1].shape)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(trajectory.xyz[1].astype(float))
    expected = context.getState(energy=True).getPotentialEnergy()._value
    energies = potential_energies(trajectory, system, platform="Reference")
    assert energies[1] == pytest.approx(expected, rel=1e-9) and energies[1] != energies[0]
    with pytest.raises(MDGenError, match="23 particles and the trajectory 10 atoms"):
        potential_energies(trajectory.atom_slice(range(10)), system)


def bent_to(trajectory, length):
    """Peptide bonds of the first residue, and all that follows it, moved so that C-N is that long."""
    after = [a.index for a in trajectory.topology.atoms if a.residue.index > 0]
    c, n = index(trajectory, 0, "C"), index(trajectory, 1, "N")
    bond = trajectory.xyz[0, n] - trajectory.xyz[0, c]
    moved = trajectory.xyz[0].copy()
    moved[after] += bond * (length / np.linalg.norm(bond) - 1)
    return moved


def turned_about_omega(trajectory, angle):
    """The second residue and all that follows it, turned about the first peptide bond."""
    after = [a.index for a in trajectory.topology.atoms if a.residue.index > 0]
    c, n = index(trajectory, 0, "C"), index(trajectory, 1, "N")
    origin = trajectory.xyz[0, n]
    axis = (origin - trajectory.xyz[0, c]) / np.linalg.norm(origin - trajectory.xyz[0, c])
    turned = trajectory.xyz[0].copy()
    turned[after] = Rotation.from_rotvec(angle * axis).apply(turned[after] - origin) + origin
    return turned


def test_the_strict_measure_sets_cis_bonds_apart_and_finds_what_lies_between():
    trajectory = frames("AAAA", 6)
    for k, angle in enumerate((0, 60, 90, 120, 175, 180)):  # of trans, so 60 and 90 are neither cis nor trans
        trajectory.xyz[k] = turned_about_omega(trajectory, np.radians(angle))
    ca = [index(trajectory, k, "CA") for k in (0, 1)]
    apart = np.linalg.norm(trajectory.xyz[:, ca[0]] - trajectory.xyz[:, ca[1]], axis=-1)
    assert abs(apart[0] - 0.38) < 0.01 and abs(apart[-1] - 0.29) < 0.02 and 0.31 < apart[2] < 0.36
    found = geometry(trajectory)
    assert found.with_cis == pytest.approx(2 / 6)
    assert found.strict == pytest.approx(np.mean([abs(d - 0.38) <= 0.02 or k >= 4 for k, d in enumerate(apart)]))
    assert found.strict < 5 / 6 and found.loose == 1


def test_the_loose_measure_takes_what_is_stretched_and_not_what_is_torn():
    trajectory = frames("AAA", 5)
    stretched = [bent_to(trajectory, length) for length in (0.133, 0.15, 0.19, 0.205, 0.4)]
    trajectory.xyz[:] = stretched
    found = geometry(trajectory)
    assert found.loose == pytest.approx(3 / 5) and found.strict == pytest.approx(2 / 5)


def test_the_loose_measure_finds_overlaps_of_residues_and_not_bonds():
    trajectory = frames("AAAA", 4)
    cb, other, own = (index(trajectory, *at) for at in ((3, "CB"), (0, "O"), (3, "O")))
    for k, (atom, distance) in enumerate(((other, 0.09), (other, 0.11), (own, 0.05))):
        trajectory.xyz[k, cb] = trajectory.xyz[k, atom] + [distance, 0, 0]
    c, n = index(trajectory, 0, "C"), index(trajectory, 1, "N")
    trajectory.xyz[3, n] = trajectory.xyz[3, c] + 0.05  # a bond as short as that is bad, and no overlap
    assert geometry(trajectory).loose == pytest.approx(3 / 4)


def test_chains_of_c_alpha_atoms_have_no_cis_bond_to_be_counted():
    trajectory = frames("AAAA", 3)
    trajectory.xyz[2] = bent_to(trajectory, 0.25)
    alphas = trajectory.atom_slice(trajectory.topology.select("name CA"))
    found = merged([geometry(alphas), geometry(alphas)])
    assert found.strict == pytest.approx(2 / 3) and found.loose == pytest.approx(2 / 3)
    assert isinstance(found.with_cis, NotDefined) and "peptide bond" in found.with_cis.why
