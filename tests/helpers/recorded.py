"""Small trajectories of real peptides in files, whose frames can be told apart."""

from functools import cache

import mdtraj
import numpy as np
import torch

from openmm_mdgen.data import Recording
from openmm_mdgen.molecule.chain import ProteinChain
from torsion_walks import place

TURN = 200  # frames that a torsion takes for a whole turn, two of them a fifth of a radian apart


@cache
def numbered(sequence, *, interval=1.0):
    """`TURN` frames, all atoms: psi of the first residue turns by one step a frame; not to be changed."""
    angles = np.pi * (2 * np.arange(TURN) / TURN - 1)
    return place(sequence, {(0, "PSI"): angles}, interval=interval)


@cache
def positions_of(sequence):
    """Heavy atoms (F, L, 14, 3) of `numbered`, ångström, float32."""
    trajectory = numbered(sequence)
    return ProteinChain.from_openmm(trajectory.topology.to_openmm()).atom14(trajectory.xyz).numpy()


def recording(sequence, *, n_frames=TURN, interval=1.0):
    """In memory."""
    return Recording(sequence, sequence, positions_of(sequence)[:n_frames], interval)


def numbers(frames):
    """(B, T) the frames' places in their recordings."""
    sin, cos = frames.torsions[:, :, 0, 2].unbind(-1)
    return ((torch.atan2(sin, cos) / torch.pi + 1) * TURN / 2).round().long() % TURN


def write(folder, name, trajectory, *, stem=None):
    """NAME.pdb and NAME.xtc, or STEM.xtc."""
    folder.mkdir(parents=True, exist_ok=True)
    trajectory[0].save_pdb(str(folder / f"{name}.pdb"))
    trajectory.save_xtc(str(folder / f"{stem or name}.xtc"))
    return folder / f"{name}.pdb", folder / f"{stem or name}.xtc"


def timed(trajectory, times):
    """The first frames of a trajectory at other times, ps."""
    return mdtraj.Trajectory(trajectory.xyz[: len(times)], trajectory.topology, time=np.array(times))
