"""Invariant point attention without pair features (Jumper et al. 2021, supplementary algorithm 22)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from openmm_mdgen.geometry.rigid import Rigid, full_precision
from openmm_mdgen.model.network.config import NetworkConfig
from openmm_mdgen.model.network.linear import Linear


class InvariantPointAttention(nn.Module):
    """Attention over residues through features and through points in space; invariant to a common rigid motion."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        h, c = config.ipa_heads, config.ipa_head_width
        self.heads, self.head_width = h, c
        self.n_query_points, self.n_value_points = config.ipa_points, config.ipa_value_points
        width = config.width
        self.linear_q = Linear(width, h * c)
        self.linear_kv = Linear(width, 2 * h * c)
        self.linear_q_points = Linear(width, 3 * h * self.n_query_points)
        self.linear_kv_points = Linear(width, 3 * h * (self.n_query_points + self.n_value_points))
        self.head_weights = nn.Parameter(torch.full((h,), math.log(math.e - 1)))  # softplus of it is 1
        self.linear_out = Linear(h * (c + 4 * self.n_value_points), width)

    def forward(self, s: Float[Tensor, "B L C"], rigids: Rigid, mask: Float[Tensor, "B L"]) -> Float[Tensor, "B L C"]:
        """Features of residues with rigids (B, L) to new features."""
        linears = (self.linear_q, self.linear_kv, self.linear_q_points, self.linear_kv_points)
        q, kv, q_points, kv_points = (linear(s).to(rigids.translation) for linear in linears)
        with full_precision(s.device):  # squares of coordinates are subtracted
            attended = self._attended(q, kv, q_points, kv_points, rigids, mask)
        return self.linear_out(attended)

    def _attended(
        self, q: Tensor, kv: Tensor, q_points: Tensor, kv_points: Tensor, rigids: Rigid, mask: Tensor
    ) -> Tensor:
        q = q.unflatten(-1, (self.heads, -1))  # (B, L, H, c)
        k, v = kv.unflatten(-1, (self.heads, -1)).chunk(2, dim=-1)
        q_points = self._points(q_points, rigids)  # (B, L, H, P, 3)
        kv_points = self._points(kv_points, rigids)
        k_points, v_points = kv_points.split([self.n_query_points, self.n_value_points], dim=-2)

        # The factors 1/3 and 2/27 are those of three logit terms, though the pair term is absent: so it was published.
        logits = torch.einsum("bihc,bjhc->bhij", q, k) * math.sqrt(1 / (3 * self.head_width))
        gamma = F.softplus(self.head_weights) * math.sqrt(2 / (27 * self.n_query_points))
        squared = (q_points[:, :, None] - k_points[:, None]).square().sum((-1, -2))  # (B, i, j, H)
        logits = logits - 0.5 * (gamma * squared).permute(0, 3, 1, 2)
        logits = logits + 1e5 * (mask[:, None, :, None] * mask[:, None, None, :] - 1)
        weights = logits.softmax(dim=-1)

        scalars = torch.einsum("bhij,bjhc->bihc", weights, v).flatten(-2)
        points = torch.einsum("bhij,bjhpx->bihpx", weights, v_points)
        points = rigids[:, :, None, None].inverse().apply(points).flatten(-3, -2)  # (B, L, H V, 3)
        norms = torch.sqrt(points.square().sum(-1) + 1e-8)
        return torch.cat([scalars, *points.unbind(-1), norms], dim=-1)

    def _points(self, x: Tensor, rigids: Rigid) -> Tensor:
        """(B, L, 3 n), laid out [all x | all y | all z], to points in space (B, L, H, n / H, 3)."""
        local = x.unflatten(-1, (3, self.heads, -1)).movedim(-3, -1)
        return rigids[:, :, None, None].apply(local)
