"""A generator in few lines: every torsion of a peptide fluctuates about its value in the start.

Takes seconds, after `pip install` of this folder: openmm-mdgen run AKLV --generator torsion_walk --time 1ns

Each torsion follows an Ornstein-Uhlenbeck process, the diffusion of a harmonic well: its distribution is Gaussian with
the standard deviation `SPREAD`, its autocorrelation function decays with the relaxation time `RELAXATION`, and the step
from frame to frame is exact (Gillespie 1996). Omega hardly moves, as peptide bonds are stiff. There is one well: this
is no model of a peptide's equilibrium, but an honest one of its fluctuations within a state.
"""

import numpy as np
import torch

from openmm_mdgen.errors import CheckpointError, UnsupportedTopologyError
from openmm_mdgen.generators.sampler import frames_of
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.placement import BackboneFromTorsions
from openmm_mdgen.molecule.template import AllAtomTemplate

SPREAD = np.deg2rad([4.0, 15.0, 15.0, 12.0, 12.0, 12.0, 12.0])  # rad: omega, phi, psi, chi1 to chi4
RELAXATION = 20.0  # ps
FRAMES = 100  # of a segment


class TorsionWalk:
    """The generator: see `openmm_mdgen.protocol.Generator`."""

    frame_interval = 2.0  # ps
    temperature = 300.0  # K, at which torsions within a state spread about so far

    def check(self, topology):
        if len(ProteinChain.from_openmm(topology).sequence) < 2:
            raise UnsupportedTopologyError("a single residue has no peptide bond: give a longer chain")

    def propagator(self, topology, positions):
        self.check(topology)
        return TorsionWalkPropagator(AllAtomTemplate.measure(ProteinChain.from_openmm(topology), positions))


class TorsionWalkPropagator:
    """The generator of one molecule: see `openmm_mdgen.protocol.Propagator`."""

    frame_interval, temperature = TorsionWalk.frame_interval, TorsionWalk.temperature

    def __init__(self, template):
        self.template, self.atom_indices = template, template.chain.atom_indices

    def segment(self, positions, seed):
        chain, random = self.template.chain, np.random.default_rng(seed)
        frame = frames_of(chain, np.asarray(positions, dtype=np.float64)[None, None], dtype=torch.float64)
        rest, now = (torch.atan2(x[..., 0], x[..., 1]).numpy() for x in (self.template.torsions, frame.torsions[0, 0]))
        away = np.angle(np.exp(1j * (now - rest))) * chain.torsion_mask.numpy()  # (L, 7), from -pi to pi
        kept = np.exp(-self.frame_interval / RELAXATION)
        walk = []
        for noise in random.normal(size=(FRAMES, *away.shape)) * SPREAD:
            away = kept * away + np.sqrt(1 - kept**2) * noise
            walk.append(rest + away)
        angles = torch.from_numpy(np.array(walk))[None]  # (1, FRAMES, L, 7)
        turned = torch.stack([angles.sin(), angles.cos()], dim=-1)
        near = frame.rigids.expand(1, FRAMES, len(chain.sequence))  # each frame is laid over where the molecule was
        return BackboneFromTorsions().place(self.template, near, turned).atoms[0].numpy()

    def state(self):
        return self.template.state()

    def restore(self, state):
        self.template = AllAtomTemplate.from_state(self.template.chain, state)


def generator(*, device):
    """The entry point of this package; called when a user names the generator."""
    if device not in ("auto", "cpu"):
        raise CheckpointError(f"device {device!r}: the torsion walk runs on the CPU, say 'cpu' or 'auto'")
    return TorsionWalk()


if __name__ == "__main__":
    print(__doc__)
