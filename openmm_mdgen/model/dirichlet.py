"""Dirichlet flow on the 20-simplex of residue types (Stark et al. 2024), and all noise that is drawn on it.

The state x_d of a residue is a point of the simplex; for a known type its law at flow time t is Dirichlet(1 +
(concentration - 1) onehot), with concentration(t) = 1 + t (maximum - 1). Axes: ``B`` trajectories, ``L`` residues.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import beta, betainc, digamma
from torch import Tensor

N_TYPES = 20
_TERMS = 120  # of a series in y <= 1/2; the last is below rounding


@dataclass(frozen=True)
class DirichletFlow:
    """How simplex states move, and how they are noised.

    Parameters
    ----------
    maximum : float
        Concentration of the true type at t = 1.
    temperature : float
        Number that divides the logits before the softmax.
    exact : bool
        Whether `factor` is computed exactly. False takes it from a table, as published checkpoints were sampled, which
        is wrong by orders of magnitude for b below 0.01 and noise above 0.75.
    per_residue : bool
        Whether a residue has one state and one type at all frames. False, as in published checkpoints, moves the state
        of every frame by itself.
    """

    maximum: float = 8.0
    temperature: float = 1.0
    exact: bool = True
    per_residue: bool = True

    def concentration(self, t: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Parameter of the true type at flow time t; those of the others are 1."""
        return 1 + t * (self.maximum - 1)

    def parameters(self, aatype: Int[Tensor, "B L"], t: Float[Tensor, " B"]) -> Float[Tensor, "B L 20"]:
        """Parameters of the Dirichlet law of x_d, for residues of known types at flow times t."""
        onehot = torch.nn.functional.one_hot(aatype, N_TYPES).to(t)
        return 1 + onehot * (self.concentration(t) - 1)[:, None, None]

    def states(
        self, aatype: Int[Tensor, "B L"], t: Float[Tensor, " B"], random: np.random.Generator
    ) -> Float[Tensor, "B L 20"]:
        """States x_d of residues of known types at flow times t, drawn from their law."""
        gamma = random.standard_gamma(self.parameters(aatype, t).double().numpy())
        return torch.from_numpy(gamma / gamma.sum(-1, keepdims=True)).float()

    def velocity(
        self, x_d: Float[Tensor, "*batch 20"], logits: Float[Tensor, "*batch 20"], t: float
    ) -> Float[Tensor, "*batch 20"]:
        """dx_d/dt from the network's logits of the types."""
        weighted = torch.softmax(logits / self.temperature, dim=-1) * self.factor(x_d, t)
        return (self.maximum - 1) * (weighted - x_d * weighted.sum(-1, keepdim=True))

    def factor(self, b: Float[Tensor, "*shape"], t: float) -> Float[Tensor, "*shape"]:
        """c(b, a) = -dI_b(a, 19)/da B(a, 19) / ((1 - b)^19 b^(a - 1)), a = concentration(t)."""
        x = b.detach().cpu().double().numpy()
        values = _factor(x.clip(0, 1), 1 + t * (self.maximum - 1)) if self.exact else self._tabulated(x, t)
        return torch.from_numpy(values).to(b)

    def _tabulated(self, x: np.ndarray, t: float) -> np.ndarray:
        """The factor as published checkpoints were sampled.

        A forward difference over 0.001 at the nearest of the grid values of a, linear in b between 1,000 grid points.
        """
        step = 1e-3
        a = 1 + t * (self.maximum - 1)
        if a > self.maximum:
            a = self.maximum - step
        row = min(round((a - 1) / step), round((self.maximum - 1) / step) - 1)
        a0, a1 = 1 + step * row, 1 + step * (row + 1)
        grid = np.linspace(0, 1, 1000)
        difference = (betainc(a1, N_TYPES - 1, grid) - betainc(a0, N_TYPES - 1, grid)) / step
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            power = x ** (a - 1)
            outer = np.where(x < 1, beta(a, N_TYPES - 1) / (1 - x) ** (N_TYPES - 1), 0.0)
            ratio = np.where(power > 0, outer / power, 0.0)
        return -np.interp(x, grid, difference) * ratio


def uniform_states(n_residues: int, random: torch.Generator) -> Float[Tensor, "{n_residues} 20"]:
    """States x_d at flow time 0, uniform on the simplex, which sampling starts from."""
    drawn = torch.empty(n_residues, N_TYPES).exponential_(generator=random)
    return drawn / drawn.sum(-1, keepdim=True)


def _factor(b: np.ndarray, a: float) -> np.ndarray:
    """c(b, a) to rounding, by two series for the incomplete beta function, differentiated by a term by term.

    With n = 19 and y = 1 - b: I = b^a sum_(j<n) (a)_j / j! y^j is a finite sum, without loss where b is small;
    1 - I = b^a y^n / (n B(a, n)) sum_k (a + n)_k / (n + 1)_k y^k has no cancellation where y is small
    (Abramowitz & Stegun 26.5.4, 26.5.6).
    """
    n = N_TYPES - 1
    result = np.zeros_like(b)
    low, high = (b > 0) & (b <= 0.5), b > 0.5
    x, y = b[low], 1 - b[low]
    term, harmonic, total = np.ones_like(x), 0.0, np.log(x)
    for j in range(1, n):
        term = term * (a + j - 1) / j * y
        harmonic += 1 / (a + j - 1)
        total = total + term * (np.log(x) + harmonic)
    result[low] = -x * beta(a, n) / y**n * total
    x, y = b[high], 1 - b[high]
    term, harmonic = np.ones_like(x), digamma(a + n) - digamma(a)
    total = np.log(x) + harmonic
    for k in range(1, _TERMS):
        term = term * (a + n + k - 1) / (n + k) * y
        harmonic += 1 / (a + n + k - 1)
        total = total + term * (np.log(x) + harmonic)
    result[high] = x / n * total
    return result
