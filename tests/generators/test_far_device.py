"""Whole generators on a device that is far away: all tensors are made there, and what waits for it is counted."""

from functools import cache
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import torch
from openmm import app, unit

from far_device import FAR, far_device
from models import small_flow, small_forward_flow
from openmm_mdgen.generators.each_chain import EachChain
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.model.ode import Euler
from openmm_mdgen.model.tasks import EndpointDesign, Inpainting, Interpolation, Upsampling
from structures import molecules, peptide
from torsion_walks import place

CASES = Path(__file__).parents[1] / "data" / "cases"
CPU = torch.device("cpu")
FACTOR = 3


@cache
def bridged():
    pdb = app.PDBFile(str(CASES / "cggc.pdb"))
    return pdb.topology, np.array(pdb.positions.value_in_unit(unit.nanometer))


def generator_on(device, task=None, *, n_frames=6, frame_interval=10.0, backbone="torsions"):
    flow = small_forward_flow() if task is None else small_flow(task)
    info = ModelInfo("small", n_frames, frame_interval, 350.0, backbone=backbone)
    return TrajectoryGenerator(flow.eval().requires_grad_(False), info, Euler(4), device)


def compared(work):
    """What some work with a device gives there, which is what it gives on the CPU; and what was counted."""
    with far_device() as device:
        found = work(FAR)
    np.testing.assert_allclose(found, work(CPU), atol=1e-4)  # nm: fits make more of what float32 rounds
    return device


def segment(device, molecule, **options):
    topology, positions = molecule
    generator = generator_on(device, **options)
    return generator.propagator(topology, positions).segment(positions, 3)


@pytest.mark.parametrize("name", ["AFWV", "PPCY", "ACE-YPCA-NME"])
def test_a_segment_with_its_overlaps_lifted(name):
    compared(lambda device: segment(device, peptide(name)))


@pytest.mark.parametrize("backbone", ["rigids", "fitted"])
def test_a_segment_placed_by_rigids(backbone):
    compared(lambda device: segment(device, peptide("AFWV"), backbone=backbone))


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["torsions", "fitted"])
def test_a_closed_chain(backbone):
    compared(lambda device: segment(device, bridged(), n_frames=3, backbone=backbone))


def test_several_chains():
    topology, positions = molecules("AGSA", "VSAL")

    def work(device):
        return EachChain(generator_on(device)).propagator(topology, positions).segment(positions, 7).frames

    with pytest.warns(UserWarning, match="contacts between chains"):
        compared(work)


@pytest.mark.parametrize("backbone", ["torsions", "rigids", "fitted"])
def test_a_path(backbone):
    topology, positions = peptide("KPVT")
    end = segment(CPU, (topology, positions))[-1]

    def work(device):
        generator = generator_on(device, Interpolation(), backbone=backbone)
        paths = generator.interpolate(topology, positions, end, paths=2, seed=2)
        return np.array([path.xyz for path in paths])

    compared(work)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["torsions", "fitted"])
def test_upsampling(backbone):
    topology, positions = peptide("KPVT")
    given = np.concatenate([positions[None], segment(CPU, (topology, positions), n_frames=3)])
    trajectory = mdtraj.Trajectory(given, mdtraj.Topology.from_openmm(topology), time=1.5 * np.arange(len(given)))

    def work(device):
        options = {"n_frames": 4 * FACTOR + 1, "frame_interval": 0.5, "backbone": backbone}
        return generator_on(device, Upsampling(FACTOR), **options).upsample(trajectory, seed=1).xyz

    compared(work)


@pytest.mark.parametrize("task", [Inpainting((1, 2)), EndpointDesign((1, 2))], ids=["with motion", "types alone"])
def test_design(task):
    trajectory = place("VSAL", {(k, "PSI"): np.linspace(-2, 2, 12) for k in range(4)})

    def work(device):
        designs = generator_on(device, task, frame_interval=1.0).inpaint(trajectory, samples=2, seed=1)
        return np.array([list(map(ord, design.sequence)) for design in designs])

    compared(work)


def test_a_segment_waits_for_the_device_a_few_times_whatever_its_length():
    """Each step that lifts overlaps has to know how many there are; nothing waits for each frame or pair."""
    few, many = (compared(lambda device, n=n: segment(device, peptide("AFWV"), n_frames=n)) for n in (6, 40))
    assert few.waits.total() == many.waits.total() <= 12 * 5 + 5  # of twelve steps each, and besides
    assert few.uploads.total() == many.uploads.total() < 200  # parameters of the network among them, none for each step
