"""Designed peptides with all their atoms, ready to be simulated.

The peptide of a designed sequence is built and minimised in amber14 with GBn2, which gives bond lengths, angles and
hydrogens; the atoms of generated frames are then placed with these. Axes: ``T`` frames, ``L`` residues, ``n`` atoms.
Lengths are in nanometre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import mdtraj
import numpy as np
import torch
from openmm import app

from openmm_mdgen.arguments import require
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.peptides import BuiltPeptide
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.placement import backbone_named
from openmm_mdgen.molecule.template import AllAtomTemplate
from openmm_mdgen.seeds import valid_seed

_FIRST_CHI = 3


class Design(Protocol):
    """What is asked of a design, such as a `generators.design.Design`."""

    @property
    def sequence(self) -> str:
        """One-letter codes."""
        ...

    @property
    def designed(self) -> Sequence[int]:
        """Numbers of the residues that were designed, from 0."""
        ...

    @property
    def trajectory(self) -> mdtraj.Trajectory | None:
        """Heavy atoms; None where only a sequence was designed."""
        ...


@dataclass(frozen=True, eq=False)
class DesignedPeptide:
    """A designed peptide as OpenMM takes it."""

    topology: app.Topology
    positions: np.ndarray  # (n, 3), the first generated frame, minimised
    frames: np.ndarray  # (T, n, 3), as generated


class PeptideBuilder:
    """Builds designed peptides, and measures the geometry of each sequence only once.

    Examples
    --------
    >>> peptide = PeptideBuilder(backbone="torsions").all_atoms(designs[0])
    >>> simulation.context.setPositions(peptide.positions)

    Parameters
    ----------
    backbone : {"torsions", "rigids", "fitted"}
        What places the backbone, as the weights' `ModelInfo` says.
    seed : int
        Seed of the structures that are built.
    """

    def __init__(self, *, backbone: str = "torsions", seed: int = 0) -> None:
        self.backbone, self.seed = backbone_named(backbone), valid_seed(seed)
        self._templates: dict[str, tuple[app.Topology, AllAtomTemplate]] = {}

    def all_atoms(self, design: Design) -> DesignedPeptide:
        """Give a design all its atoms.

        Side chains of designed residues keep the torsions of the minimised peptide, but for overlaps that are removed.

        Parameters
        ----------
        design : Design

        Returns
        -------
        DesignedPeptide

        Raises
        ------
        MDGenError
            If the design is only a sequence.
        """
        require("design", design, hasattr(design, "sequence"), "a Design, as TrajectoryGenerator.inpaint makes them")
        if design.trajectory is None:
            raise MDGenError("these weights give sequences without motion: build a structure with build_peptide")
        topology, template = self._template(design.sequence)
        heavy = ProteinChain.from_openmm(design.trajectory.topology.to_openmm())
        aatype = torch.from_numpy(heavy.aatype)[None]
        frames = Frames.from_atom14(aatype, heavy.atom14(design.trajectory.xyz)[None])
        torsions = frames.torsions.clone()
        for k in design.designed:
            torsions[:, :, k, _FIRST_CHI:] = template.torsions[k, _FIRST_CHI:].to(torsions)
        atoms = self.backbone.place(template, frames.rigids, torsions).atoms[0].double().numpy()
        return DesignedPeptide(topology, relaxed(topology, atoms[0]), atoms)

    def _template(self, sequence: str) -> tuple[app.Topology, AllAtomTemplate]:
        if sequence not in self._templates:
            built = BuiltPeptide.of(sequence, seed=self.seed)
            chain = ProteinChain.from_openmm(built.topology)
            self._templates[sequence] = built.topology, AllAtomTemplate.measure(chain, built.minimised())
        return self._templates[sequence]
