"""Tables, rigids, torsions and decoding against the reference's numbers, and against what geometry demands."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from openmm_mdgen.geometry import atom14, residues
from openmm_mdgen.geometry.rigid import Rigid, quaternion_from_rotation, rotation_from_quaternion, superposition

FIXTURES = Path(__file__).parent.parent / "data" / "fixtures"
PRECISIONS = [(torch.float32, "f32"), (torch.float64, "f64")]


def load(name):
    return np.load(FIXTURES / f"{name}.npz")


def close(ours, theirs, tolerance):
    torch.testing.assert_close(ours, torch.as_tensor(theirs), rtol=0, atol=tolerance, check_dtype=False)


def random_rotations(n, seed):
    generator = torch.Generator().manual_seed(seed)
    return rotation_from_quaternion(torch.randn(n, 4, generator=generator, dtype=torch.float64))


def test_residue_tables_equal_the_reference():
    stored = load("residue_tables")
    for ours, key in (
        (residues.ATOM14_MASK, "atom14_mask"),
        (residues.ATOM14_GROUP, "atom14_to_rigid_group"),
        (residues.ATOM14_POSITION, "atom14_rigid_group_positions"),
        (residues.DEFAULT_FRAME, "rigid_group_default_frame"),
        (residues.CHI_MASK, "chi_mask"),
    ):
        np.testing.assert_array_equal(ours, stored[key], err_msg=key)


@pytest.mark.parametrize("dtype, suffix", PRECISIONS)
def test_rigids_torsions_and_offsets_of_all_residue_types(dtype, suffix):
    stored = load("geometry")
    positions = torch.from_numpy(stored["atom14"]).to(dtype)
    aatype = torch.from_numpy(stored["aatype"])
    rigids = atom14.backbone_rigids(positions)
    close(rigids.rotation, stored[f"rots_{suffix}"], 5e-6)
    close(rigids.translation, stored[f"trans_{suffix}"], 5e-6)
    mask = atom14.torsion_mask(aatype)
    close(mask, stored["torsion_mask"], 0)
    defined = mask[:, None, ..., None]
    torsions = atom14.torsions(aatype[:, None].expand(positions.shape[:3]), positions)
    close(torsions * defined, torch.as_tensor(stored[f"torsions_{suffix}"]) * defined, 1e-5)
    for key, index in (("first", 0), ("last", -1)):
        offsets = (rigids[:, [index]].inverse() @ rigids).to_tensor7()
        close(offsets, stored[f"offsets_{key}_{suffix}"], 5e-6)


@pytest.mark.parametrize("dtype, suffix", PRECISIONS)
def test_decoded_atoms_of_all_residue_types(dtype, suffix):
    stored = load("geometry")
    case = {k: torch.from_numpy(stored[f"case.{k}"]) for k in ("rots", "trans", "torsions", "aatype")}
    rigids = Rigid(case["rots"].to(dtype), case["trans"].to(dtype))
    decoded = atom14.atom14_from_rigids(case["aatype"], rigids, case["torsions"].to(dtype))
    close(decoded, stored[f"case.atom14_{suffix}"], 1e-4)


@pytest.mark.parametrize("dtype, suffix", PRECISIONS)
def test_quaternions_at_every_angle(dtype, suffix):
    stored = load("rigid")
    tolerance = 5e-6 if dtype == torch.float32 else 1e-12
    quaternions = quaternion_from_rotation(torch.from_numpy(stored[f"rots_{suffix}"]))
    theirs = torch.from_numpy(stored[f"quat_{suffix}"])
    half_turn = theirs[:, :1].abs() < 1e-3  # there w >= 0 does not settle the sign
    sign = torch.where(
        half_turn, torch.sign((quaternions * theirs).sum(-1, keepdim=True)), torch.ones_like(theirs[:, :1])
    )
    close(quaternions * sign, theirs, tolerance)
    assert (quaternions[:, 0] >= 0).all()
    rotations = rotation_from_quaternion(torch.from_numpy(stored["quat_true"]).to(dtype))
    close(rotations, stored[f"rots_{suffix}"], tolerance)


def test_three_point_frames_and_application_equal_the_reference():
    stored = load("rigid")
    p0, p1, p2 = torch.from_numpy(stored["three_points"])
    rigid = Rigid.from_three_points(p0, p1, p2)
    close(rigid.rotation, stored["three_rots_f64"], 1e-12)
    close(rigid.translation, stored["three_trans_f64"], 1e-12)
    moved = Rigid(torch.from_numpy(stored["rots_f64"]), torch.from_numpy(stored["trans"]))
    close(moved.apply(torch.from_numpy(stored["pts"])), stored["apply_f64"], 1e-12)
    close(moved.inverse().apply(torch.from_numpy(stored["pts"])), stored["invert_apply_f64"], 1e-12)


def test_composition_is_application_in_turn():
    a, b = (Rigid(random_rotations(50, s), torch.randn(50, 3, dtype=torch.float64)) for s in (0, 1))
    points = torch.randn(50, 3, dtype=torch.float64)
    close((a @ b).apply(points), a.apply(b.apply(points)), 1e-12)
    identity = a @ a.inverse()
    close(identity.rotation, torch.eye(3, dtype=torch.float64).expand(50, 3, 3), 1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.text(residues.RESTYPES, min_size=1, max_size=8))
def test_torsions_and_rigids_survive_decoding(seed, sequence):
    """Any chain, any pose: what is decoded encodes to the same rigids and torsions."""
    generator = torch.Generator().manual_seed(seed)
    aatype = torch.from_numpy(residues.aatype_from_sequence(sequence))
    n = len(sequence)
    rigids = Rigid(random_rotations(n, seed), 5 * torch.randn(n, 3, generator=generator, dtype=torch.float64))
    angles = 2 * torch.pi * torch.rand(n, 7, generator=generator, dtype=torch.float64)
    given_torsions = torch.stack([angles.sin(), angles.cos()], dim=-1)
    positions = atom14.atom14_from_rigids(aatype, rigids, given_torsions)
    again = atom14.backbone_rigids(positions)
    close(again.rotation, rigids.rotation, 1e-6)
    close(again.translation, rigids.translation, 1e-9)
    found = atom14.torsions(aatype, positions)
    inside = atom14.torsion_mask(aatype).bool()
    inside[:, :2] = False  # omega and phi follow from the rigids of two residues
    close(found[inside], given_torsions[inside], 1e-3)  # literature positions have three decimals


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_torsions_do_not_depend_on_the_pose(seed):
    stored = load("geometry")
    positions = torch.from_numpy(stored["atom14"][:, 0]).double()
    aatype = torch.from_numpy(stored["aatype"])
    motion = Rigid(random_rotations(1, seed), torch.randn(1, 3, dtype=torch.float64))
    moved = motion[:, None, None].apply(positions)
    mask = atom14.torsion_mask(aatype)[..., None]
    close(atom14.torsions(aatype, moved) * mask, atom14.torsions(aatype, positions) * mask, 1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(3, 12))
def test_superposition_undoes_a_rigid_motion_and_never_mirrors(seed, n):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(4, n, 3, generator=generator, dtype=torch.float64)
    motion = Rigid(random_rotations(4, seed), torch.randn(4, 3, generator=generator, dtype=torch.float64))
    moved = motion[:, None].apply(points)
    found = superposition(moved, points, torch.ones(4, n, dtype=torch.float64))
    close(found[:, None].apply(moved), points, 1e-8)
    mirrored = superposition(points * torch.tensor([1.0, 1.0, -1.0]), points, torch.ones(4, n, dtype=torch.float64))
    close(torch.linalg.det(mirrored.rotation), torch.ones(4, dtype=torch.float64), 1e-9)


def test_dihedral_has_the_iupac_sign():
    """Looking along the middle bond, a clockwise turn is positive."""
    points = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]], dtype=torch.float64)
    sin, cos = atom14.dihedral(points)
    assert abs(float(torch.atan2(sin, cos)) - torch.pi / 2) < 1e-6


def test_rigids_replaced_at_an_index_leave_the_others_and_the_original_alone():
    rigids, other = (
        Rigid(random_rotations(n, n).unflatten(0, shape), torch.randn(*shape, 3, dtype=torch.float64))
        for n, shape in ((48, (2, 3, 8)), (6, (2, 3)))
    )
    changed = rigids.replaced((..., 4), other)
    close(changed[..., 4].rotation, other.rotation, 0)
    close(changed[..., 4].translation, other.translation, 0)
    close(changed[..., :4].translation, rigids[..., :4].translation, 0)
    assert not torch.equal(changed[..., 4].translation, rigids[..., 4].translation)
    single = rigids.replaced((0, 1, 2), other[0, 1])
    close(single[0, 1, 2].rotation, other[0, 1].rotation, 0)
    some = rigids.replaced((..., torch.tensor([0, 2]), 5), other[:, :2])
    close(some[:, 2, 5].translation, other[:, 1].translation, 0)
    close(some[:, 1].translation, rigids[:, 1].translation, 0)
