"""An OpenMM force that holds a molecule at a place along a transition path.

    energy = spring / 2 (progress - centre)^2 + wall / 2 max(0, distance - width)^2

`centre` and `spring` are global parameters of the Context. Energies are in kJ/mol. Progress has no unit and distance
has that of the path's space, so `spring` is in kJ/mol and `wall` in kJ/mol per distance squared.
"""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import openmm
import torch
from openmm import unit
from torch import Tensor, nn

from openmm_mdgen.arguments import between, not_negative, positive, require, valid_choice
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.steering.path import TransitionPath

CENTRE, SPRING = "openmm_mdgen_path_centre", "openmm_mdgen_path_spring"
_GROUP = 31  # the force's group, so that its energy can be asked for alone
_ENGINES = ("auto", "openmm", "openmm-torch")
SPRING_CONSTANT = 2000.0  # kJ/mol, which allows thermal motion of 0.04 in progress


class PathEnergy(nn.Module):
    """The energy as a function of positions, centre and spring.

    Parameters
    ----------
    path : TransitionPath
    wall : float
        Force constant of the wall.
    width : float
        Distance from the path at which the wall begins.
    """

    def __init__(self, path: TransitionPath, *, wall: float, width: float) -> None:
        super().__init__()
        self.path, self.wall, self.width = path, wall, width

    def forward(self, positions: Tensor, centre: float | Tensor, spring: float | Tensor) -> Tensor:
        """Energy in kJ/mol at positions (n, 3) in nm of the path's atoms."""
        progress, distance = self.path(positions)
        outside = (distance - self.width).clamp_min(0)
        return 0.5 * spring * (progress - centre) ** 2 + 0.5 * self.wall * outside**2


class PathComputation:
    """`PathEnergy` as `openmm.PythonForce` calls it, with the energy and the forces of a State; it can be pickled."""

    def __init__(self, energy: PathEnergy) -> None:
        self.energy = energy

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        positions = torch.from_numpy(np.array(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)))
        positions.requires_grad_()
        parameters = state.getParameters()
        with torch.enable_grad():
            energy = self.energy(positions, parameters[CENTRE], parameters[SPRING])
            (gradient,) = torch.autograd.grad(energy, positions)
        return float(energy.detach()), -gradient.numpy()


def path_force(
    path: TransitionPath,
    *,
    centre: float = 0.0,
    spring: float = SPRING_CONSTANT,
    wall: float | None = None,
    width: float | None = None,
    engine: Literal["auto", "openmm", "openmm-torch"] = "auto",
) -> openmm.Force:
    """Make the force, which then has to be added to a System.

    Parameters
    ----------
    path : TransitionPath
    centre : float
        Progress at which new Contexts hold the molecule.
    spring : float
        Force constant along the path in kJ/mol.
    wall : float, optional
        Force constant of the wall; by default it costs 10 kJ/mol at twice the width.
    width : float, optional
        Distance from the path at which the wall begins; by default three times the squared spacing of the path's space.
    engine : {"auto", "openmm", "openmm-torch"}
        ``openmm.PythonForce``, or openmm-torch's force, which runs where the Context runs. By default openmm-torch is
        taken where it is installed.

    Returns
    -------
    openmm.Force
        In force group 31. ``PythonForce`` can be serialised with ``openmm.XmlSerializer``.

    Raises
    ------
    MDGenError
        If openmm-torch is asked for and not installed, or a number makes no sense.
    """
    require("path", path, isinstance(path, TransitionPath), "a TransitionPath, such as TransitionPath.through makes")
    valid_choice("engine", engine, _ENGINES)
    centre, spring = between("centre", centre, 0, 1), not_negative("spring", spring)
    width = 3 * path.space.spacing**2 if width is None else positive("width", width)
    wall = 20.0 / width**2 if wall is None else not_negative("wall", wall)
    energy = PathEnergy(path, wall=wall, width=width)
    installed = importlib.util.find_spec("openmmtorch") is not None
    if engine == "openmm-torch" and not installed:
        raise MDGenError("openmm-torch is not installed: pip install openmmtorch, or leave engine to 'auto'")
    parameters = {CENTRE: float(centre), SPRING: float(spring)}
    if engine == "openmm-torch" or (engine == "auto" and installed):
        force = _torch_force(energy, parameters)
    else:
        force = openmm.PythonForce(PathComputation(energy), parameters)
        force.setParticles([int(i) for i in path.atoms])
    force.setForceGroup(_GROUP)
    return force


def bias_energy(context: openmm.Context) -> float:
    """Energy of the path force alone, in kJ/mol."""
    return context.getState(energy=True, groups={_GROUP}).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)


class _OfAllAtoms(nn.Module):
    """The energy as openmm-torch calls it: of all atoms' positions and the parameters in the order of their adding."""

    def __init__(self, energy: PathEnergy) -> None:
        super().__init__()
        self.energy = energy

    def forward(self, positions: Tensor, centre: Tensor, spring: Tensor) -> Tensor:
        return self.energy(positions.double()[self.energy.path.space.atoms], centre, spring)


@cache
def _load_torch_plugins() -> None:
    """Load the plugins that failed when OpenMM was imported before torch, whose libraries they need."""
    if not any("OpenMMTorch" in failure for failure in openmm.Platform.getPluginLoadFailures()):
        return
    for folder in {Path(name).parent for name in openmm.pluginLoadedLibNames}:
        for library in folder.glob("*OpenMMTorch*"):
            with suppress(openmm.OpenMMException):  # of a platform that this machine does not have
                openmm.Platform.loadPluginLibrary(str(library))


def _torch_force(energy: PathEnergy, parameters: dict[str, float]) -> openmm.Force:
    from openmmtorch import TorchForce  # type: ignore[import-not-found]

    _load_torch_plugins()
    n_atoms = int(energy.path.atoms.max()) + 1
    example = torch.randn(n_atoms, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = (torch.tensor(value, dtype=torch.float64) for value in parameters.values())
    force = TorchForce(torch.jit.trace(_OfAllAtoms(energy), (example, *values)))
    for name, value in parameters.items():
        force.addGlobalParameter(name, value)
    return force
