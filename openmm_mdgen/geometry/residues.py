"""Facts about the 20 amino acids: names, torsions, rigid groups and ideal geometry.

Axes: ``21`` residue types in the order ``ARNDCQEGHILKMFPSTWYV`` plus 20 = unknown (a row of zeros), ``14`` heavy-atom
slots, ``8`` rigid groups (0 backbone, 1 pre-omega, 2 phi, 3 psi, 4-7 chi1-chi4), ``7`` torsions (pre-omega, phi, psi,
chi1-chi4). Lengths in ångström. The tables are those of AlphaFold 2 (Jumper et al. 2021, rigid-group table),
rounded to float32 as in published checkpoints.
"""

import json
from importlib import resources

import numpy as np

_facts = json.loads(resources.files("openmm_mdgen.geometry").joinpath("residue_constants.json").read_text())

RESTYPES: str = _facts["restypes"]
UNKNOWN = len(RESTYPES)
ONE_TO_THREE: dict[str, str] = _facts["restype_1to3"]
THREE_TO_ONE = {three: one for one, three in ONE_TO_THREE.items()}
RESTYPE_INDEX = {three: RESTYPES.index(one) for one, three in ONE_TO_THREE.items()}

# Per three-letter name: the 14 atom names ("" where unused) and the four atoms of each chi.
ATOM14_NAMES: dict[str, list[str]] = {ONE_TO_THREE.get(k, k): v for k, v in _facts["atom14_names"].items()}
CHI_ATOMS: dict[str, list[list[str]]] = {ONE_TO_THREE.get(k, k): v for k, v in _facts["chi_atoms"].items()}

N_TORSIONS, N_GROUPS, N_SLOTS = 7, 8, 14
OMEGA_GROUP, PHI_GROUP, PSI_GROUP, CHI1_GROUP = 1, 2, 3, 4  # of the rigid groups; 0 is the backbone


def _frame(ex: np.ndarray, ey: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """4x4 transform with columns ex, ey orthogonalised against ex, and their cross product."""
    ex = ex / np.linalg.norm(ex)
    ey = ey - (ey @ ex) * ex
    ey = ey / np.linalg.norm(ey)
    out = np.eye(4)
    out[:3, :4] = np.stack([ex, ey, np.cross(ex, ey), origin], axis=1)
    return out


def _tables() -> tuple[np.ndarray, ...]:
    n = UNKNOWN + 1
    atom_mask = np.zeros((n, N_SLOTS), np.float32)
    atom_group = np.zeros((n, N_SLOTS), np.int64)
    atom_position = np.zeros((n, N_SLOTS, 3), np.float32)
    default_frame = np.zeros((n, N_GROUPS, 4, 4))
    chi_slots = np.zeros((n, 4, 4), np.int64)
    chi_mask = np.zeros((n, 4), np.float32)
    for three, index in RESTYPE_INDEX.items():
        slots = {name: k for k, name in enumerate(ATOM14_NAMES[three]) if name}
        xyz = {}
        for name, group, position in _facts["rigid_group_atom_positions"][three]:
            k = slots[name]
            atom_mask[index, k], atom_group[index, k], atom_position[index, k] = 1, group, position
            xyz[name] = np.array(position)
        frames = default_frame[index]
        frames[0] = frames[1] = np.eye(4)
        frames[2] = _frame(xyz["N"] - xyz["CA"], np.array([1.0, 0, 0]), xyz["N"])
        frames[3] = _frame(xyz["C"] - xyz["CA"], xyz["CA"] - xyz["N"], xyz["C"])
        for k, names in enumerate(CHI_ATOMS[three]):
            chi_mask[index, k] = 1
            chi_slots[index, k] = [slots[name] for name in names]
            a0, a1, a2 = (xyz[name] for name in names[:3])
            # chi1 is placed in backbone coordinates, each later chi in those of the chi before it.
            frames[4 + k] = _frame(a2 - a1, a0 - a1, a2) if k == 0 else _frame(a2, np.array([-1.0, 0, 0]), a2)
    return atom_mask, atom_group, atom_position, default_frame.astype(np.float32), chi_slots, chi_mask


# (21, 14), (21, 14), (21, 14, 3), (21, 8, 4, 4), (21, 4, 4), (21, 4)
ATOM14_MASK, ATOM14_GROUP, ATOM14_POSITION, DEFAULT_FRAME, CHI_SLOTS, CHI_MASK = _tables()


def aatype_from_sequence(sequence: str) -> np.ndarray:
    """Residue type indices of a one-letter sequence; an unknown letter raises ``ValueError``."""
    unknown = sorted(set(sequence) - set(RESTYPES))
    if unknown:
        raise ValueError(f"{''.join(unknown)!r} in {sequence!r}: not among the 20 amino acids {RESTYPES}")
    return np.array([RESTYPES.index(letter) for letter in sequence], dtype=np.int64)
