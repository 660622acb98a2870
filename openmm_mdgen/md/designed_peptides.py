"""Designed peptides with all their atoms, ready to be simulated.

Axes: ``T`` frames, ``L`` residues, ``n`` atoms. Nanometre. The peptide of the designed sequence is built and minimised
in amber14 with GBn2, which gives its bond lengths, angles and hydrogens; generated frames are then placed with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from openmm import app

from openmm_mdgen.errors import MDGenError
from openmm_mdgen.generators.design import Design
from openmm_mdgen.md.peptides import build_peptide
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.placement import place
from openmm_mdgen.molecule.template import AllAtomTemplate

_FIRST_CHI = 3


@dataclass(frozen=True, eq=False)
class DesignedPeptide:
    """One sequence, as OpenMM takes it."""

    topology: app.Topology
    positions: np.ndarray  # (n, 3), the first generated frame, minimised
    frames: np.ndarray  # (T, n, 3), as generated


class PeptideBuilder:
    """Builds designed peptides; keeps the geometry of a sequence once it is known.

    Examples
    --------
    >>> peptide = PeptideBuilder(backbone="torsions").all_atoms(designs[0])
    >>> simulation.context.setPositions(peptide.positions)

    Parameters
    ----------
    backbone : {"torsions", "rigids"}
        Of the weights' `ModelInfo`.
    seed : int
        Of the structures that are built.
    """

    def __init__(self, *, backbone: str = "torsions", seed: int = 0) -> None:
        self.backbone, self.seed = backbone, seed
        self._templates: dict[str, tuple[app.Topology, AllAtomTemplate]] = {}

    def all_atoms(self, design: Design) -> DesignedPeptide:
        """Complete a design; side chains of designed residues stand as in the minimised peptide, without overlaps.

        Raises
        ------
        MDGenError
            If the design is a sequence alone.
        """
        if design.trajectory is None:
            raise MDGenError("these weights give sequences without motion: build a structure with build_peptide")
        topology, template = self._template(design.sequence)
        heavy = ProteinChain.from_openmm(design.trajectory.topology.to_openmm())
        aatype = torch.from_numpy(heavy.aatype)[None]
        frames = Frames.from_atom14(aatype, heavy.atom14(design.trajectory.xyz)[None])
        torsions = frames.torsions.clone()
        for k in design.designed:
            torsions[:, :, k, _FIRST_CHI:] = template.torsions[k, _FIRST_CHI:].to(torsions)
        atoms = place(template, frames.rigids, torsions, self.backbone)[0].double().numpy()
        return DesignedPeptide(topology, relaxed(topology, atoms[0]), atoms)

    def _template(self, sequence: str) -> tuple[app.Topology, AllAtomTemplate]:
        if sequence not in self._templates:
            topology, positions = build_peptide(sequence, seed=self.seed)
            chain = ProteinChain.from_openmm(topology)
            self._templates[sequence] = topology, AllAtomTemplate.measure(chain, relaxed(topology, positions))
        return self._templates[sequence]
