"""Optimisers of a training run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from openmm_mdgen.model.flow import TrajectoryFlow

_BETAS = (0.9, 0.99)  # of AdamW
_MUON_FACTOR = 3.0  # of Muon's learning rate to AdamW's


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for some matrices and AdamW for all other parameters, as one optimiser.

    Muon's updates are scaled to the root mean square of AdamW's (Liu et al. 2025, arXiv 2502.16982).

    Parameters
    ----------
    matrices : iterable of Parameter
        Parameters with two axes, which Muon updates.
    others : iterable of Parameter
        Parameters that AdamW updates.
    lr : float
        Learning rate of AdamW; that of Muon is three times as high.
    weight_decay : float
        Weight decay of both.
    """

    def __init__(
        self, matrices: Iterable[nn.Parameter], others: Iterable[nn.Parameter], *, lr: float, weight_decay: float
    ) -> None:
        self._muon = torch.optim.Muon(
            matrices, lr=_MUON_FACTOR * lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        self._adamw = torch.optim.AdamW(others, lr=lr, betas=_BETAS, weight_decay=weight_decay)
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        # Groups and state are this optimiser's, so that schedules, checkpoints and Lightning find them in one place.
        for part, group in zip((self._muon, self._adamw), self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
            part.step()
        return loss


def adamw(flow: TrajectoryFlow, *, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW for all parameters."""
    return torch.optim.AdamW(flow.parameters(), lr=lr, betas=_BETAS, weight_decay=weight_decay)


def muon(flow: TrajectoryFlow, *, lr: float, weight_decay: float) -> torch.optim.Optimizer:
    """Muon for the matrices of the layers; AdamW for embeddings, output layers, norms and biases."""
    named = list(flow.network.named_parameters())
    is_matrix = [name.startswith(("layers.", "ipa_layers.")) and p.ndim == 2 for name, p in named]
    matrices = [p for (_, p), chosen in zip(named, is_matrix, strict=True) if chosen]
    others = [p for (_, p), chosen in zip(named, is_matrix, strict=True) if not chosen]
    return MuonWithAdamW(matrices, others, lr=lr, weight_decay=weight_decay)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adamw": adamw, "muon": muon}
