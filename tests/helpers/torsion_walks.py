"""Trajectories of real peptides whose torsions jump between two wells: their populations and rates are known."""

import mdtraj
import numpy as np
import torch

from openmm_mdgen.geometry.atom14 import backbone_rigids
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate
from structures import peptide

_SLOT = {"PHI": 1, "PSI": 2, "CHI1": 3, "CHI2": 4, "CHI3": 5, "CHI4": 6}


def jumps(n_frames, leaving, seed):
    """(n_frames,) of 0 and 1, left with the given probabilities each frame."""
    rng = np.random.default_rng(seed)
    states = np.zeros(n_frames, dtype=int)
    states[0] = rng.random() < leaving[0] / sum(leaving)
    draws = rng.random(n_frames)
    for k in range(1, n_frames):
        states[k] = states[k - 1] ^ (draws[k] < leaving[states[k - 1]])
    return states


def well_angles(n_frames, wells, leaving, seed, *, spread=0.15):
    """(n_frames,) radian: jumps between two wells, with a normal spread about each."""
    noise = np.random.default_rng(seed + 1000).normal(0, spread, n_frames)
    angles = np.array(wells)[jumps(n_frames, leaving, seed)] + noise
    return np.arctan2(np.sin(angles), np.cos(angles))


def place(sequence, angles, *, interval=1.0):
    """Trajectory from ``{(residue from 0, kind): (n_frames,) radian}``; other torsions stay as built.

    `interval` in ps.
    """
    topology, positions = peptide(sequence)
    template = AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions)
    n_frames = len(next(iter(angles.values())))
    pairs = template.torsions.expand(n_frames, -1, -1, -1).clone()
    for (residue, kind), series in angles.items():
        series = torch.as_tensor(np.array(series, dtype=float))
        pairs[:, residue, _SLOT[kind]] = torch.stack([series.sin(), series.cos()], dim=-1)
    own = backbone_rigids(template.chain.atom14(positions))
    near = Rigid(own.rotation.expand(n_frames, -1, -1, -1), own.translation.expand(n_frames, -1, -1))
    xyz = template.place(laid_over(template.chain_rigids(pairs), near), pairs).numpy()
    assert template.chain.n_atoms == xyz.shape[1]
    return mdtraj.Trajectory(xyz, mdtraj.Topology.from_openmm(topology), time=np.arange(n_frames) * interval)


def walk(n_frames, seed):
    """VSA: a slow PSI, a PHI and a PSI of middling speed, and two quick side chains; 1 ps between frames."""
    return {
        (0, "PSI"): well_angles(n_frames, (-0.7, 2.4), (0.006, 0.009), seed + 1),
        (1, "PHI"): well_angles(n_frames, (-1.1, -2.3), (0.05, 0.05), seed + 2),
        (1, "PSI"): well_angles(n_frames, (-0.6, 2.5), (0.03, 0.04), seed + 3),
        (2, "PHI"): well_angles(n_frames, (-1.2, -2.4), (0.1, 0.1), seed + 4),
        (0, "CHI1"): well_angles(n_frames, (-1.0, 3.0), (0.1, 0.2), seed + 5),
        (1, "CHI1"): well_angles(n_frames, (-1.1, 1.1), (0.1, 0.1), seed + 6),
    }
