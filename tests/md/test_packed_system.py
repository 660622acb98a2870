"""Packed molecules against separate ones: energies, forces, distances, batched solvent."""

from functools import partial

import numpy as np
import openmm
import pytest
import torch
from openmm import app, unit

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md import batched_gbn2
from openmm_mdgen.md.batched_gbn2 import BatchedBorn, can_compile
from openmm_mdgen.md.packed_system import Molecule, PackedSystem
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import implicit_system

REFERENCE = openmm.Platform.getPlatformByName("Reference")


def molecule(sequence, seed=0):
    topology, positions = build_peptide(sequence, seed=seed)
    return Molecule(topology, positions.value_in_unit(unit.nanometer))


def evaluate(system, positions):
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), REFERENCE)
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=20)
    state = context.getState(energy=True, forces=True, positions=True)
    return (
        state.getPotentialEnergy()._value,
        state.getForces(asNumpy=True)._value,
        state.getPositions(asNumpy=True)._value,
    )


def energy_and_forces(system, positions):
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), REFERENCE)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


@pytest.fixture(scope="module")
def separate():
    """Molecules of different size and charge, relaxed a little, with their own energies and forces without cutoff."""
    relaxed, energies, forces = [], [], []
    for sequence in ("GG", "KRW", "DEH", "PCM", "TYNQ"):
        start = molecule(sequence)
        energy, force, positions = evaluate(implicit_system(start.topology), start.positions)
        relaxed.append(Molecule(start.topology, positions))
        energies.append(energy)
        forces.append(force)
    return relaxed, np.array(energies), np.concatenate(forces)


def test_packed_energy_and_forces_are_those_of_the_separate_systems(separate):
    molecules, energies, forces = separate
    packed = PackedSystem(molecules, batched=False)
    energy, found = energy_and_forces(packed.system, packed.positions)
    assert energy == pytest.approx(energies.sum(), rel=1e-6)
    # Which of a ring's equivalent atoms comes first in an improper torsion depends on OpenMM's numbering: 1e-4.
    difference = np.abs(found - forces).max(axis=1)
    assert difference.max() < 3e-4 * np.abs(forces).max()
    assert np.median(difference) < 1e-8


@pytest.mark.slow
@pytest.mark.skipif(not can_compile(), reason="no C++ compiler")
def test_batched_solvent_agrees_with_openmm(separate):
    molecules, energies, forces = separate
    packed = PackedSystem(molecules)
    assert not any(isinstance(force, openmm.CustomGBForce) for force in packed.system.getForces())
    energy, found = energy_and_forces(packed.system, packed.positions)
    assert energy == pytest.approx(energies.sum(), rel=1e-5)
    assert np.abs(found - forces).max() < 3e-4 * np.abs(forces).max()


def test_uncompiled_batched_solvent_agrees_molecule_by_molecule(separate):
    molecules, _, _ = separate
    packed = PackedSystem(molecules, batched=False)
    force = next(f for f in packed.system.getForces() if isinstance(f, openmm.CustomGBForce))
    born = BatchedBorn(force, packed.slices, compiled=False)
    expected = []
    for one in molecules:
        system = implicit_system(one.topology)
        for index in reversed(range(system.getNumForces())):
            if not isinstance(system.getForce(index), openmm.CustomGBForce):
                system.removeForce(index)
        expected.append(energy_and_forces(system, one.positions)[0])
    by_size = sorted(range(len(molecules)), key=lambda k: molecules[k].topology.getNumAtoms())
    assert born.energies(packed.positions) == pytest.approx(np.array(expected)[by_size], rel=1e-5)


def test_another_implicit_solvent_is_refused():
    topology, _ = build_peptide("GG")
    system = app.ForceField("amber14-all.xml", "implicit/gbn.xml").createSystem(topology)
    force = next(f for f in system.getForces() if isinstance(f, openmm.CustomGBForce))
    with pytest.raises(MDGenError, match="not GBn2"):
        BatchedBorn(force, [slice(0, topology.getNumAtoms())])


def test_molecules_stay_out_of_each_others_reach(separate):
    molecules, _, _ = separate
    packed = PackedSystem(molecules * 3, batched=False)
    cutoff = next(f for f in packed.system.getForces() if isinstance(f, openmm.NonbondedForce)).getCutoffDistance()
    for one in molecules:
        distances = np.linalg.norm(one.positions[:, None] - one.positions, axis=-1)
        assert distances.max() < cutoff._value
    for k, a in enumerate(packed.slices):
        for b in packed.slices[:k]:
            gap = np.linalg.norm(packed.positions[a][:, None] - packed.positions[b], axis=-1).min()
            assert gap > cutoff._value + 4.0  # each may drift 2 nm


def test_drifted_molecules_are_brought_back_as_they_are(separate):
    molecules, _, _ = separate
    packed = PackedSystem(molecules, batched=False)
    moved = packed.positions.copy()
    moved[packed.slices[1]] += [0.9, 0.9, 0.0]
    assert packed.has_drifted(moved) and not packed.has_drifted(packed.positions)
    assert np.allclose(packed.recentred(moved), packed.positions, atol=1e-12)


def test_a_system_without_implicit_solvent_cannot_be_packed(monkeypatch):
    monkeypatch.setattr("openmm_mdgen.md.packed_system.force_field", lambda: app.ForceField("amber14-all.xml"))
    with pytest.raises(MDGenError, match="no implicit solvent"):
        PackedSystem([molecule("GG")])


def test_every_shape_is_compiled_whatever_torch_s_limit(monkeypatch):
    """Without that, shapes beyond the limit run uncompiled, several times as slow."""
    compiled = []

    def backend(graph, inputs):
        compiled.append(tuple(inputs[0].shape))
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    batched_gbn2._compiled_for.cache_clear()
    sequences = ["GG", "AG", "AA", "AAG", "AAA"]
    try:
        with torch._dynamo.config.patch(recompile_limit=2):
            for _ in range(2):  # a System is compared with OpenMM's own force as it is made
                for sequence in sequences:
                    PackedSystem([molecule(sequence), molecule(sequence, seed=1)])
            assert torch._dynamo.config.recompile_limit == 2
    finally:
        batched_gbn2._compiled_for.cache_clear()
    sizes = [molecule(s).topology.getNumAtoms() for s in sequences]
    assert compiled == [(2, size) for size in sizes]
