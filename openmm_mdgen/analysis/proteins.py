"""Ensembles of a protein against MD, as in the ATLAS evaluations of AlphaFlow (Jing, Berger, Jaakkola 2024).

Lengths in nanometre. `structure` is the experimental (or starting) one: contacts and exposure are told as changes from
it, and fluctuations are measured after superposing C-alpha atoms on it. Atoms that only one side has (hydrogens, OXT)
are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mdtraj
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import pearsonr, spearmanr

from openmm_mdgen.analysis.undefined import NotDefined, UndefinedError, attempt
from openmm_mdgen.errors import MDGenError, StateError

N_FRAMES = 250  # of each ensemble, evenly spaced
CONTACT = 0.8  # nm, between C-alpha atoms
OFTEN = 0.1  # share of frames
PROBE, EXPOSED = 0.28, 0.02  # nm and nm², of side chains' solvent-accessible surface


@dataclass(frozen=True, eq=False)
class EnsembleComparison:
    """The comparison of one protein's ensembles; lengths in nm."""

    n_residues: int
    pairwise_rmsd: tuple[float, float]  # C-alpha, mean over pairs of frames: generated, reference
    rmsf: tuple[np.ndarray, np.ndarray]  # (n_residues,) of C-alpha: generated, reference
    rmsf_correlation: float | NotDefined  # Pearson, over the residues
    root_mean_w2: float  # over heavy atoms, each a Gaussian in space
    root_mean_w2_translation: float  # the part of the Gaussians' centres
    root_mean_w2_variance: float  # the part of their spreads
    md_pca_w2: float  # of C-alpha coordinates along the reference's first two principal components, per root atom
    joint_pca_w2: float  # along those of both together
    principal_component_cosine: float  # of the two ensembles' first ones, sign ignored
    weak_contacts: float | NotDefined  # Jaccard index of contacts of the structure that often open
    transient_contacts: float | NotDefined  # of contacts that the structure does not have, and that often form
    exposed_residues: float | NotDefined  # of residues buried in the structure that are often exposed
    exposed_information: float | NotDefined  # Spearman, over pairs of residues: mutual information of their exposure


@dataclass(frozen=True)
class EnsembleTable:
    """The comparison of many proteins' ensembles; medians unless said otherwise."""

    pairwise_rmsd_correlation: float | NotDefined  # Pearson, over the proteins
    global_rmsf_correlation: float | NotDefined  # Pearson, over all residues of all proteins
    rmsf_correlation: float | NotDefined
    root_mean_w2: float | NotDefined
    md_pca_w2: float | NotDefined
    joint_pca_w2: float | NotDefined
    similar_components: float  # share of proteins whose first components have a cosine above 0.5
    weak_contacts: float | NotDefined
    transient_contacts: float | NotDefined
    exposed_residues: float | NotDefined
    exposed_information: float | NotDefined


def compare_ensembles(
    generated: mdtraj.Trajectory,
    reference: mdtraj.Trajectory,
    structure: mdtraj.Trajectory,
    *,
    n_frames: int = N_FRAMES,
) -> EnsembleComparison:
    """Compare one protein's generated ensemble with its MD.

    Parameters
    ----------
    generated, reference : mdtraj.Trajectory
    structure : mdtraj.Trajectory
        The experimental or starting structure: its first frame.
    n_frames : int
        Frames used of each ensemble, evenly spaced.

    Returns
    -------
    EnsembleComparison

    Raises
    ------
    MDGenError
        If they are of different molecules, or one has fewer than two frames.
    StateError
        If a position is not finite.
    """
    ours, theirs, start = _common([_thinned(generated, n_frames), _thinned(reference, n_frames), structure[:1]])
    alpha = start.topology.select("name CA")
    if len(alpha) < 3:
        raise MDGenError("fewer than three C-alpha atoms cannot be superposed")
    for ensemble in (ours, theirs):
        ensemble.superpose(start, atom_indices=alpha)
    ca = ours.xyz[:, alpha].astype(float), theirs.xyz[:, alpha].astype(float)
    rmsf = _rmsf(ca[0]), _rmsf(ca[1])
    translation, variance = _gaussian_w2(ours.xyz.astype(float), theirs.xyz.astype(float))
    flat = [xyz.reshape(len(xyz), -1) for xyz in ca]
    structural = _contacts(start, alpha)[0]
    contacts = [_contacts(ensemble, alpha).mean(axis=0) for ensemble in (ours, theirs)]
    buried = ~_exposed(start)[0]
    exposed = [_exposed(ensemble) for ensemble in (ours, theirs)]
    often = [e.mean(axis=0) > OFTEN for e in exposed]
    return EnsembleComparison(
        n_residues=start.n_residues,
        pairwise_rmsd=(_pairwise_rmsd(ours, alpha), _pairwise_rmsd(theirs, alpha)),
        rmsf=rmsf,
        rmsf_correlation=attempt(_pearson, *rmsf),
        root_mean_w2=float(np.sqrt((translation + variance).mean())),
        root_mean_w2_translation=float(np.sqrt(translation.mean())),
        root_mean_w2_variance=float(np.sqrt(variance.mean())),
        md_pca_w2=_pca_w2(*flat, basis=[flat[1]]) / np.sqrt(len(alpha)),
        joint_pca_w2=_pca_w2(*flat, basis=flat) / np.sqrt(len(alpha)),
        principal_component_cosine=float(abs(_components([flat[0]])[1][0] @ _components([flat[1]])[1][0])),
        weak_contacts=attempt(_jaccard, *(structural & (share < 1 - OFTEN) for share in contacts)),
        transient_contacts=attempt(_jaccard, *(~structural & (share > OFTEN) for share in contacts)),
        exposed_residues=attempt(_jaccard, *(buried & o for o in often)),
        exposed_information=attempt(_spearman, *(mutual_information(e) for e in exposed)),
    )


def tabulate(comparisons: Sequence[EnsembleComparison]) -> EnsembleTable:
    """Make one row for many proteins. A protein for which a quantity is not defined is left out of its median."""
    if not comparisons:
        raise MDGenError("a table needs at least one protein")

    def median(name: str) -> float | NotDefined:
        values = [getattr(c, name) for c in comparisons]
        known = [value for value in values if not isinstance(value, NotDefined)]
        return float(np.median(known)) if known else values[0]

    rmsds = np.array([c.pairwise_rmsd for c in comparisons])
    pooled = [np.concatenate([c.rmsf[k] for c in comparisons]) for k in (0, 1)]
    return EnsembleTable(
        pairwise_rmsd_correlation=attempt(_pearson, rmsds[:, 0], rmsds[:, 1]),
        global_rmsf_correlation=attempt(_pearson, *pooled),
        rmsf_correlation=median("rmsf_correlation"),
        root_mean_w2=median("root_mean_w2"),
        md_pca_w2=median("md_pca_w2"),
        joint_pca_w2=median("joint_pca_w2"),
        similar_components=float(np.mean([c.principal_component_cosine > 0.5 for c in comparisons])),
        weak_contacts=median("weak_contacts"),
        transient_contacts=median("transient_contacts"),
        exposed_residues=median("exposed_residues"),
        exposed_information=median("exposed_information"),
    )


def wasserstein(first: np.ndarray, second: np.ndarray) -> float:
    """The 2-Wasserstein distance of two clouds of equally many points, (n, d) each."""
    cost = ((first[:, None] - second[None]) ** 2).sum(-1)
    return float(np.sqrt(cost[linear_sum_assignment(cost)].mean()))


def mutual_information(states: np.ndarray) -> np.ndarray:
    """The mutual information of pairs of columns, (n_frames, n) bool to (n_pairs,) in nat, above the diagonal."""
    columns = states.astype(float)
    n = len(columns)
    information = np.zeros((columns.shape[1],) * 2)
    for x in (columns, 1 - columns):
        for y in (columns, 1 - columns):
            joint = x.T @ y / n
            independent = x.mean(axis=0)[:, None] * y.mean(axis=0)[None]
            ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
            information += joint * np.log(ratio)
    return information[np.triu_indices(len(information), 1)]


def _thinned(trajectory: mdtraj.Trajectory, n_frames: int) -> mdtraj.Trajectory:
    if trajectory.n_frames < 2:
        raise MDGenError("an ensemble needs at least two frames")
    if not np.isfinite(trajectory.xyz).all():
        raise StateError("an ensemble has positions that are not finite: leave those frames out")
    kept = np.unique(np.linspace(0, trajectory.n_frames - 1, n_frames).round().astype(int))
    return trajectory[kept]


def _common(trajectories: list[mdtraj.Trajectory]) -> list[mdtraj.Trajectory]:
    """The heavy atoms of the protein that all have, in one order."""
    keyed = []
    for trajectory in trajectories:
        residues = [r for r in trajectory.topology.residues if r.is_protein]
        keyed.append(
            {
                (k, residue.name, atom.name): atom.index
                for k, residue in enumerate(residues)
                for atom in residue.atoms
                if atom.element.symbol != "H"
            }
        )
    sequences = [[(k, name) for k, name, _ in dict.fromkeys((k, n, "") for k, n, _ in keys)] for keys in keyed]
    if sequences[0] != sequences[1] or sequences[0] != sequences[2]:
        raise MDGenError("the ensembles and the structure are of different proteins")
    shared = [key for key in keyed[2] if all(key in keys for keys in keyed)]
    return [t.atom_slice([keys[key] for key in shared]) for t, keys in zip(trajectories, keyed, strict=True)]


def _rmsf(xyz: np.ndarray) -> np.ndarray:
    return np.sqrt(((xyz - xyz.mean(axis=0)) ** 2).sum(-1).mean(axis=0))


def _pairwise_rmsd(ensemble: mdtraj.Trajectory, alpha: np.ndarray) -> float:
    alphas = ensemble.atom_slice(alpha)
    alphas.center_coordinates()
    total = sum(mdtraj.rmsd(alphas, alphas, k, precentered=True).astype(float).sum() for k in range(alphas.n_frames))
    return float(total / (alphas.n_frames * (alphas.n_frames - 1)))


def _gaussian_w2(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared 2-Wasserstein distances of each atom's Gaussians, (n_frames, n, 3) to (n,) of centres and of spreads."""
    centres = [xyz.mean(axis=0) for xyz in (first, second)]
    spreads = [
        np.einsum("fna,fnb->nab", xyz - centre, xyz - centre) / len(xyz)
        for xyz, centre in zip((first, second), centres, strict=True)
    ]
    translation = ((centres[0] - centres[1]) ** 2).sum(-1)
    values, vectors = np.linalg.eigh(spreads[0])
    root = (vectors * np.sqrt(values.clip(min=0))[:, None]) @ vectors.transpose(0, 2, 1)
    cross = np.sqrt(np.linalg.eigvalsh(root @ spreads[1] @ root).clip(min=0)).sum(axis=-1)
    variance = sum(np.trace(spread, axis1=1, axis2=2) for spread in spreads) - 2 * cross
    return translation, variance.clip(min=0)


def _components(clouds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and first two principal components of clouds (n_frames, d) that count equally: (d,), (2, d)."""
    weighted = np.concatenate([cloud / np.sqrt(len(cloud) * len(clouds)) for cloud in clouds])
    weights = np.concatenate([np.full(len(cloud), 1 / np.sqrt(len(cloud) * len(clouds))) for cloud in clouds])
    mean = weights @ weighted
    return mean, np.linalg.svd(weighted - weights[:, None] * mean, full_matrices=False)[2][:2]


def _pca_w2(first: np.ndarray, second: np.ndarray, *, basis: list[np.ndarray]) -> float:
    mean, components = _components(basis)
    points = [(cloud - mean) @ components.T for cloud in (first, second)]
    n = min(len(cloud) for cloud in points)
    return wasserstein(*(cloud[np.linspace(0, len(cloud) - 1, n).round().astype(int)] for cloud in points))


def _contacts(ensemble: mdtraj.Trajectory, alpha: np.ndarray) -> np.ndarray:
    """(n_frames, n_pairs) bool."""
    pairs = np.stack(np.triu_indices(len(alpha), 1), axis=1)
    return mdtraj.compute_distances(ensemble, alpha[pairs], periodic=False) < CONTACT


def _exposed(ensemble: mdtraj.Trajectory) -> np.ndarray:
    """(n_frames, n_residues) bool: whether the side chain is. GLY, which has none, never is."""
    area = mdtraj.shrake_rupley(ensemble, probe_radius=PROBE, mode="atom")
    backbone = {"N", "CA", "C", "O", "OXT"}
    total = np.zeros((ensemble.n_frames, ensemble.n_residues))
    for atom in ensemble.topology.atoms:
        if atom.name not in backbone:
            total[:, atom.residue.index] += area[:, atom.index]
    return total > EXPOSED


def _jaccard(first: np.ndarray, second: np.ndarray) -> float:
    either = (first | second).sum()
    if either == 0:
        raise UndefinedError("there is none in either ensemble")
    return float((first & second).sum() / either)


def _pearson(first: np.ndarray, second: np.ndarray) -> float:
    _require_spread(first, second)
    return float(pearsonr(first, second).statistic)


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    _require_spread(first, second)
    return float(spearmanr(first, second).statistic)


def _require_spread(*samples: np.ndarray) -> None:
    if any(len(values) < 3 or np.ptp(values) < 1e-12 for values in samples):
        raise UndefinedError("a correlation needs three values that are not all equal")
