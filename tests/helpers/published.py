"""Checkpoints of the published form, small and random, with the numbers that the reference program computed with them.

``NAME.ckpt`` with ``NAME.npz`` in the folder of fixtures, or in the one that OPENMM_MDGEN_FIXTURES names.
"""

import os
from pathlib import Path

import numpy as np
import torch

from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.tasks import Condition
from openmm_mdgen.model.tokens import Frames

FIXTURES = Path(os.environ.get("OPENMM_MDGEN_FIXTURES", Path(__file__).parent.parent / "data" / "fixtures"))
MODELS = sorted(p.stem for p in FIXTURES.glob("*.ckpt"))


class Case:
    """One model's arrays and its flow in one precision."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        self.name, self.dtype = name, dtype
        self.suffix = {torch.float32: "_f32", torch.float64: "_f64"}[dtype]
        self.arrays = np.load(FIXTURES / f"{name}.npz")
        flow, self.info = checkpoints.load(FIXTURES / f"{name}.ckpt")
        self.flow: TrajectoryFlow = flow.to(dtype)

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    def __getitem__(self, key: str) -> torch.Tensor:
        tensor = torch.from_numpy(self.arrays[key])
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor.long()

    def computed(self, key: str) -> torch.Tensor:
        return self[key + self.suffix]

    def frames(self, part: str) -> Frames:
        return Frames(
            aatype=self["train.aatype"],
            rigids=Rigid(self[f"{part}.rots"], self[f"{part}.trans"]),
            torsions=self[f"{part}.torsions"],
            torsion_mask=self["train.torsion_mask"] * self["train.res_mask"][..., None],
            residue_mask=self["train.res_mask"],
        )

    def condition(self, part: str) -> Condition:
        """As the model builds it; the sign of the relative quaternions is the reference's, which left it to chance."""
        _, condition = self.flow.condition(self.frames(part))
        if f"fwd.rel_fwd{self.suffix}" not in self:
            return condition
        return self.replace_sign(condition, "fwd.rel_fwd", "fwd.rel_rev")

    def replace_sign(self, condition: Condition, forward: str, reverse: str) -> Condition:
        values = dict(vars(condition))
        for field, key in (("end_from_start", forward), ("start_from_end", reverse)):
            stored = self.computed(key)
            ours = values[field]
            sign = torch.sign((ours[..., :4] * stored[..., :4]).sum(-1, keepdim=True))
            assert_close(torch.cat([ours[..., :4] * sign, ours[..., 4:]], dim=-1), stored, 5e-6)
            values[field] = stored
        return Condition(**values)

    def real(self, tensor: torch.Tensor) -> torch.Tensor:
        """Only the entries (B, T, L, ...) of real residues."""
        mask = self["train.res_mask"].bool()[:, None].expand(tensor.shape[:3])
        return tensor[mask]


def assert_close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance, check_dtype=False)
