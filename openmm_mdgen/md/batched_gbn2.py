"""The GBn2 solvent of many separate molecules at once, for OpenMM's CPU platform.

On that platform OpenMM evaluates GBn2, a `CustomGBForce`, pair by pair, which takes nine tenths of a step of
implicit-solvent MD. Here all molecules are one padded batch of tensors, and torch compiles the loops over them to
vector instructions.

Axes: ``R`` molecules, ``N`` atoms of the longest one (shorter ones are padded). Nanometre, kJ/mol, elementary charge.

Nguyen, Roe, Simmerling, J. Chem. Theory Comput. 9, 2020 (2013): GB-neck2. Constants as in OpenMM's implementation.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from types import FunctionType

import numpy as np
import openmm
import torch
from openmm import unit
from torch import Tensor

from openmm_mdgen.errors import MDGenError

_COULOMB = 138.935485  # kJ/mol nm / e^2, as OpenMM's GB forces have it
_DIELECTRIC = 78.5
_OFFSET = 0.0195141  # nm, between intrinsic and offset radius
_NECK_SCALE, _NECK_CUTOFF = 0.826836, 0.68  # -, nm
_SURFACE = 28.3919551  # kJ/mol/nm^2, of the ACE surface term
_PROBE = 0.14  # nm
_PREFACTOR = -_COULOMB * (1 - 1 / _DIELECTRIC)
_RELATIVE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class _Parameters:
    """Parameters of one batch of molecules."""

    charge: Tensor  # (R, N); 0 for padding
    offset_radius: Tensor  # (R, N)
    scaled_radius: Tensor  # (R, N)
    alpha: Tensor  # (R, N)
    beta: Tensor  # (R, N)
    gamma: Tensor  # (R, N)
    neck_height: Tensor  # (R, N, N); 0 where there is no pair
    neck_distance: Tensor  # (R, N, N)
    pair_charge: Tensor  # (R, N, N) kJ/mol nm: prefactor and both charges; 0 where there is no pair
    is_atom: Tensor  # (R, N): 1 or, for padding, 0
    is_pair: Tensor  # (R, N, N): 1 for two different atoms, else 0. Numbers are faster here than bool

    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, field.name) for field in fields(self))


class BatchedBorn:
    """GBn2 of separate molecules, which replaces OpenMM's force in a System that holds them all.

    Parameters
    ----------
    force : openmm.CustomGBForce
        GBn2 with the ACE surface term, as ``implicit/gbn2.xml`` makes it.
    molecules : sequence of slice
        Particles of each molecule. Nothing between molecules is computed.
    constant : float
        Energy in kJ/mol that is added to the sum.
    compiled : bool
        Let torch compile the loops, which needs a C++ compiler and makes them several times as fast.

    Examples
    --------
    >>> system.removeForce(index_of_gb)
    >>> system.addForce(openmm.PythonForce(BatchedBorn(force, molecules)))
    """

    def __init__(
        self,
        force: openmm.CustomGBForce,
        molecules: Sequence[slice],
        *,
        constant: float = 0.0,
        compiled: bool = True,
    ) -> None:
        self.constant, self.molecules = constant, list(molecules)
        self._n_particles = force.getNumParticles()
        # Molecules of like size together: less padding.
        by_size = sorted(molecules, key=lambda s: s.stop - s.start)
        halves = [by_size] if len(by_size) < 16 else [by_size[: len(by_size) // 2], by_size[len(by_size) // 2 :]]
        self._batches = [_batch(force, half) for half in halves]
        self._atoms = [parameters.is_atom.bool() for _, parameters in self._batches]
        self._particles = [index[atoms].numpy() for (index, _), atoms in zip(self._batches, self._atoms, strict=True)]
        self._compiled = compiled

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        """Evaluate a State with positions, as `openmm.PythonForce` asks for it.

        Returns
        -------
        energy : float, kJ/mol
        forces : (n_particles, 3) kJ/mol/nm
        """
        positions = torch.from_numpy(state.getPositions(asNumpy=True).value_in_unit(unit.nanometer))
        forces = np.zeros((self._n_particles, 3))
        total = self.constant
        for batch, atoms, particles in zip(self._batches, self._atoms, self._particles, strict=True):
            energies, batch_forces = self._evaluate(positions, *batch)
            total += float(energies.double().sum())
            forces[particles] = batch_forces[atoms].numpy()
        return total, forces

    def energies(self, positions: np.ndarray) -> np.ndarray:
        """Energies (R,) of the molecules in kJ/mol, in the order of their sizes and without the constant.

        Parameters
        ----------
        positions : (n_particles, 3) nm
        """
        tensor = torch.from_numpy(np.asarray(positions, dtype=np.float64))
        return torch.cat([self._evaluate(tensor, *batch)[0] for batch in self._batches]).double().numpy()

    def _evaluate(self, positions: Tensor, index: Tensor, parameters: _Parameters) -> tuple[Tensor, Tensor]:
        xyz = positions.T[:, index]
        xyz = (xyz - xyz[:, :, :1]).float()  # float32 is exact enough near the origin only
        function = _compiled_for(*index.shape) if self._compiled else _energies_and_forces
        with torch.no_grad():
            return function(*xyz, *parameters.tensors())


@cache
def _compiled_for(n_molecules: int, n_atoms: int) -> Callable[..., tuple[Tensor, Tensor]]:
    """The loops, compiled for one shape.

    Each shape gets a copy of the function: of one function torch compiles eight shapes and no more, unless the user's
    own setting of that limit is changed, and runs the others without a word as they are written, many times as slow.
    """
    own, name = _energies_and_forces, f"_energies_and_forces_of_{n_molecules}_times_{n_atoms}"
    copy = FunctionType(own.__code__.replace(co_name=name), own.__globals__, name)
    return torch.compile(copy, dynamic=False)


def require_same_energy(born: BatchedBorn, force: openmm.CustomGBForce, positions: np.ndarray) -> None:
    """Compare the energy with that of OpenMM's own force.

    Parameters
    ----------
    born : BatchedBorn
    force : openmm.CustomGBForce
    positions : (n_particles, 3) nm
        With molecules farther apart than the force's cutoff.

    Raises
    ------
    MDGenError
        If the energies differ: the force is not GBn2 as it is known here.
    """
    system = openmm.System()
    for _ in range(force.getNumParticles()):
        system.addParticle(1.0)
    system.addForce(openmm.XmlSerializer.clone(force))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    energy = context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilojoule_per_mole)
    expected = energy + born_shift(force, born.molecules)
    found = float(born.energies(positions).sum())
    if not abs(found - expected) <= _RELATIVE_TOLERANCE * abs(expected):
        raise MDGenError(
            f"the System's implicit solvent gives {expected:.6g} kJ/mol, and GBn2 as it is known here {found:.6g}: "
            "take OpenMM's own force for it"
        )


def born_shift(force: openmm.CustomGBForce, molecules: Sequence[slice]) -> float:
    """Energy in kJ/mol by which a cutoff lowers a GB force of molecules that are shorter than the cutoff.

    OpenMM shifts the energy of each pair to zero at the cutoff, and leaves forces as they are.
    """
    charges = np.array([force.getParticleParameters(i)[0] for i in range(force.getNumParticles())])
    cutoff = force.getCutoffDistance().value_in_unit(unit.nanometer)
    return _PREFACTOR / cutoff * sum(_pair_sum(charges[atoms]) for atoms in molecules)


def coulomb_shift(force: openmm.NonbondedForce, molecules: Sequence[slice]) -> float:
    """Energy in kJ/mol by which a cutoff lowers a Coulomb force without reaction field, as `born_shift`."""
    quantities = [force.getParticleParameters(i)[0] for i in range(force.getNumParticles())]
    charges = np.array([charge.value_in_unit(unit.elementary_charge) for charge in quantities])
    pairs = sum(_pair_sum(charges[atoms]) for atoms in molecules)
    for k in range(force.getNumExceptions()):  # these have no cutoff
        i, j = force.getExceptionParameters(k)[:2]
        pairs -= charges[i] * charges[j]
    return _COULOMB / force.getCutoffDistance().value_in_unit(unit.nanometer) * pairs


def can_compile() -> bool:
    """Whether there is a C++ compiler that torch can use."""
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++", "cl"))


def _pair_sum(charges: np.ndarray) -> float:
    """Sum of q_i q_j over the pairs."""
    return 0.5 * float(charges.sum() ** 2 - (charges**2).sum())


def _batch(force: openmm.CustomGBForce, molecules: Sequence[slice]) -> tuple[Tensor, _Parameters]:
    """Numbers of the particles (R, N), padded with each molecule's first, and their parameters."""
    names = [force.getPerParticleParameterName(k) for k in range(force.getNumPerParticleParameters())]
    wanted = ("charge", "or", "sr", "alpha", "beta", "gamma", "radindex")
    if not set(wanted) <= set(names):
        raise MDGenError(f"the System's implicit solvent has parameters {', '.join(names)}: it is not GBn2")
    table = np.array([force.getParticleParameters(i) for i in range(force.getNumParticles())])
    size = max(s.stop - s.start for s in molecules)
    index = np.array([[*range(s.start, s.stop), *[s.start] * (size - (s.stop - s.start))] for s in molecules])
    is_atom = np.array([[k < s.stop - s.start for k in range(size)] for s in molecules])
    columns = {name: table[index, names.index(name)] for name in wanted}
    radii = columns.pop("radindex").astype(int)
    necks = {}
    for k in range(force.getNumTabulatedFunctions()):
        n_x, n_y, values = force.getTabulatedFunction(k).getFunctionParameters()
        grid = np.reshape(values, (n_y, n_x)).T
        necks[force.getTabulatedFunctionName(k)] = grid[radii[:, :, None], radii[:, None]]
    atoms = torch.from_numpy(is_atom)
    column = {name: torch.tensor(values, dtype=torch.float32) for name, values in columns.items()}
    charge = column["charge"] * atoms
    is_pair = (atoms[:, :, None] & atoms[:, None] & ~torch.eye(size, dtype=torch.bool)).float()
    return torch.from_numpy(index), _Parameters(
        charge=charge,
        offset_radius=column["or"],
        scaled_radius=column["sr"],
        alpha=column["alpha"],
        beta=column["beta"],
        gamma=column["gamma"],
        neck_height=torch.tensor(necks["getm0"], dtype=torch.float32) * is_pair,
        neck_distance=torch.tensor(necks["getd0"], dtype=torch.float32),
        pair_charge=_PREFACTOR * charge[:, :, None] * charge[:, None] * is_pair,
        is_atom=atoms.float(),
        is_pair=is_pair,
    )


def _energies_and_forces(
    x: Tensor,
    y: Tensor,
    z: Tensor,
    charge: Tensor,
    offset_radius: Tensor,
    scaled_radius: Tensor,
    alpha: Tensor,
    beta: Tensor,
    gamma: Tensor,
    neck_height: Tensor,
    neck_distance: Tensor,
    pair_charge: Tensor,
    is_atom: Tensor,
    is_pair: Tensor,
) -> tuple[Tensor, Tensor]:
    """Energies (R,) and forces (R, N, 3) at coordinates x, y, z (R, N) each.

    Derivatives are written out, so that one pass over the pairs will do and nothing is kept for a backward pass. All is
    in one function since torch compiles it as a whole; coordinates come apart, and what the pair (j, i) has otherwise
    than (i, j) goes through a product of matrices, since the compiled loops are slow where they cross memory.
    """
    dx, dy, dz = (c[:, :, None] - c[:, None] for c in (x, y, z))
    r2 = dx * dx + dy * dy + dz * dz + (1 - is_pair)
    over_r = torch.rsqrt(r2)
    r = r2 * over_r
    # Descreening of i by the sphere of j: h, its derivative dh. L and U are the ends of the overlap.
    own, other = offset_radius[:, :, None], scaled_radius[:, None]
    reach = r - other
    lower, upper = torch.maximum(own.expand_as(reach), reach.abs()), r + other
    over_both = 1 / (lower * upper)
    over_l, over_u = upper * over_both, lower * over_both
    l2, u2 = over_l * over_l, over_u * over_u
    slope = torch.where(reach.abs() < own, 0.0, torch.where(reach > 0, 1.0, -1.0))  # dL/dr
    logarithm = torch.log(lower * over_u)
    shape = r - other * other * over_r
    h = 0.5 * (over_l - over_u + 0.25 * shape * (u2 - l2) + 0.5 * logarithm * over_r)
    dh = 0.5 * (
        u2
        - slope * l2
        + 0.25 * (1 + other * other * over_r * over_r) * (u2 - l2)
        + 0.5 * shape * (slope * l2 * over_l - u2 * over_u)
        + 0.5 * over_r * (slope * over_l - over_u - logarithm * over_r)
    )
    touches = upper > own
    # The neck between them.
    radius = offset_radius + _OFFSET
    beyond = r - neck_distance
    beyond2 = beyond * beyond
    over_neck = 1 / (1 + 100 * beyond2 + 300000 * beyond2 * beyond2 * beyond2)
    is_near = r < radius[:, :, None] + radius[:, None] + _NECK_CUTOFF
    neck = torch.where(is_near, _NECK_SCALE * neck_height * over_neck, 0.0)
    d_neck = -neck * over_neck * beyond * (200 + 1800000 * beyond2 * beyond2)
    integral = (is_pair * torch.where(touches, h, 0.0) + neck).sum(-1)
    d_integral = (is_pair * torch.where(touches, dh, 0.0) + d_neck) * over_r
    # Born radii.
    psi = integral * offset_radius
    tanh = torch.tanh(psi * (alpha - psi * (beta - gamma * psi)))
    born = 1 / (1 / offset_radius - tanh / radius)
    d_born = born * born / radius * (1 - tanh * tanh) * offset_radius * (alpha - psi * (2 * beta - 3 * gamma * psi))
    over_born = 1 / born
    # Energies, and their derivative by the Born radii.
    self_energy = 0.5 * _PREFACTOR * charge * charge * over_born
    ratio2 = (radius * over_born) ** 2
    surface = _SURFACE * (radius + _PROBE) ** 2 * ratio2 * ratio2 * ratio2
    exponent = r2 * (0.25 * over_born[:, :, None] * over_born[:, None])
    screening = torch.exp(-exponent)
    over_f = torch.rsqrt(r2 + born[:, :, None] * born[:, None] * screening)
    pair = pair_charge * over_f
    by_f2 = -pair * over_f * over_f  # twice the derivative by f^2
    by_product = 0.5 * by_f2 * screening * (1 + exponent)
    by_born = (by_product * born[:, None]).sum(-1) - (self_energy + 6 * surface) * over_born
    energies = (is_atom * (self_energy + surface)).sum(-1) + 0.5 * pair.sum((-1, -2))
    # Forces, by (i, j) and by (j, i): what i's Born radius feels of j, and j's of i.
    chain = is_atom * by_born * d_born
    radial = by_f2 * (1 - 0.25 * screening) + chain[:, :, None] * d_integral
    by_others = torch.bmm(d_integral.transpose(1, 2), torch.stack([chain * x, chain * y, chain * z, chain], dim=-1))
    forces = [
        by_others[..., k] - c * by_others[..., 3] - (radial * (c[:, :, None] - c[:, None])).sum(-1)
        for k, c in enumerate((x, y, z))
    ]
    return energies, torch.stack(forces, dim=-1)
