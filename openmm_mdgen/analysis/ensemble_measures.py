"""What two ensembles of a protein are measured by, after the ATLAS evaluations of AlphaFlow (Jing et al. 2024).

A measure of one `Ensemble` stands beside the reference's own value; a measure of an `EnsemblePair` compares the two.
Each returns a number, or raises `UndefinedError` where it has none. Lengths in nanometre.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import pearsonr, spearmanr

from openmm_mdgen.analysis.ensembles import SECONDARY, Ensemble
from openmm_mdgen.analysis.undefined import UndefinedError, known

OFTEN = 0.1  # share of frames
_STILL = 1e-5  # nm, of all coordinates together; single precision leaves less


@dataclass(frozen=True, eq=False)
class EnsemblePair:
    """Two ensembles of one protein, and its structure: what every measure is computed from."""

    generated: Ensemble
    reference: Ensemble
    structure: Ensemble  # of one frame
    structure_name: str  # what it is, in words

    @property
    def sides(self) -> tuple[Ensemble, Ensemble]:
        """The generated ensemble and the reference."""
        return self.generated, self.reference

    @cached_property
    def clouds(self) -> tuple[np.ndarray, np.ndarray]:
        """C-alpha coordinates of each side, (n_frames, 3 n_residues)."""
        ours, theirs = (side.alphas for side in self.sides)
        return ours.reshape(len(ours), -1), theirs.reshape(len(theirs), -1)

    @cached_property
    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """The reference's mean and first two principal components, (3 n_residues,) and (2, 3 n_residues)."""
        return _components([self.clouds[1]])

    @cached_property
    def gaussians(self) -> tuple[np.ndarray, np.ndarray]:
        """Squared 2-Wasserstein distances of each heavy atom's Gaussians, (n_atoms,): of centres and of spreads."""
        ours, theirs = (side.xyz.astype(float) for side in self.sides)
        return _gaussian_w2(ours, theirs)

    def leaving_one_out(self) -> tuple[list[EnsemblePair], list[EnsemblePair]]:
        """The pair without each generated trajectory in turn, and without each of the reference."""
        return (
            [replace(self, generated=one) for one in self.generated.leaving_one_out()],
            [replace(self, reference=one) for one in self.reference.leaving_one_out()],
        )


def pairwise_rmsd(side: Ensemble) -> float:
    """Mean RMSD of C-alpha atoms over pairs of frames, nm."""
    return float(side.rmsd.sum() / (side.n_frames * (side.n_frames - 1)))


def fluctuations(side: Ensemble) -> np.ndarray:
    """Root mean square fluctuation of each C-alpha atom about its mean, (n_residues,) nm."""
    alphas = side.alphas
    return np.sqrt(((alphas - alphas.mean(axis=0)) ** 2).sum(-1).mean(axis=0))


def global_rmsf(side: Ensemble) -> float:
    """Root mean square fluctuation of all C-alpha atoms together, nm."""
    return float(np.sqrt((fluctuations(side) ** 2).mean()))


def rmsd_to_structure(side: Ensemble) -> float:
    """Mean RMSD of C-alpha atoms from the structure, nm."""
    return float(side.rmsd_to_structure.mean())


def gyration(side: Ensemble) -> float:
    """Mean radius of gyration, nm."""
    return float(side.gyration.mean())


def secondary_shares(side: Ensemble) -> np.ndarray:
    """How often each residue is in each of `SECONDARY`, (n_residues, 3)."""
    codes = known(side.secondary)
    return np.stack([(codes == k).mean(axis=0) for k in range(len(SECONDARY))], axis=1)


def helix(side: Ensemble) -> float:
    """Mean share of residues in helices."""
    return float(secondary_shares(side)[:, 1].mean())


def strand(side: Ensemble) -> float:
    """Mean share of residues in strands."""
    return float(secondary_shares(side)[:, 2].mean())


def rmsf_correlation(pair: EnsemblePair) -> float:
    """Pearson correlation, over the residues."""
    return pearson(*map(fluctuations, pair.sides))


def rmsf_rank_correlation(pair: EnsemblePair) -> float:
    """Spearman correlation, over the residues."""
    return _spearman(*map(fluctuations, pair.sides))


def root_mean_w2(pair: EnsemblePair) -> float:
    """Root mean square over heavy atoms of the 2-Wasserstein distance of their positions, each a Gaussian, nm."""
    translation, variance = pair.gaussians
    return float(np.sqrt((translation + variance).mean()))


def root_mean_w2_translation(pair: EnsemblePair) -> float:
    """The part of it that the Gaussians' centres make."""
    return float(np.sqrt(pair.gaussians[0].mean()))


def root_mean_w2_variance(pair: EnsemblePair) -> float:
    """The part of it that the Gaussians' spreads make."""
    return float(np.sqrt(pair.gaussians[1].mean()))


def md_pca_w2(pair: EnsemblePair) -> float:
    """2-Wasserstein distance along the reference's first two principal components, by the root of the atoms, nm."""
    return _pca_w2(pair, *pair.components)


def joint_pca_w2(pair: EnsemblePair) -> float:
    """The same along those of both ensembles together, each with equal weight."""
    return _pca_w2(pair, *_components(list(pair.clouds)))


def principal_component_cosine(pair: EnsemblePair) -> float:
    """Cosine of the two ensembles' first principal components, without its sign."""
    return float(abs(_components([pair.clouds[0]])[1][0] @ pair.components[1][0]))


def gyration_w2(pair: EnsemblePair) -> float:
    """2-Wasserstein distance of the distributions of the radius of gyration, nm."""
    ours, theirs = (_quantiles(side.gyration) for side in pair.sides)
    return float(np.sqrt(((ours - theirs) ** 2).mean()))


def secondary_difference(pair: EnsemblePair) -> float:
    """Mean over residues of how much of the time goes to another secondary structure: 0 for equal shares, at most 1."""
    ours, theirs = map(secondary_shares, pair.sides)
    return float((np.abs(ours - theirs).sum(axis=1) / 2).mean())


def weak_contacts(pair: EnsemblePair) -> float:
    """Jaccard index of contacts of the structure that are often open."""
    structural = pair.structure.contacts[0]
    return _jaccard(*(structural & (side.contacts.mean(axis=0) < 1 - OFTEN) for side in pair.sides))


def transient_contacts(pair: EnsemblePair) -> float:
    """Jaccard index of contacts that the structure does not have, and that are often made."""
    structural = pair.structure.contacts[0]
    return _jaccard(*(~structural & (side.contacts.mean(axis=0) > OFTEN) for side in pair.sides))


def exposed_residues(pair: EnsemblePair) -> float:
    """Jaccard index of residues that are buried in the structure, and often exposed."""
    buried = ~known(pair.structure.exposed)[0]
    return _jaccard(*(buried & (known(side.exposed).mean(axis=0) > OFTEN) for side in pair.sides))


def exposed_information(pair: EnsemblePair) -> float:
    """Spearman correlation, over pairs of residues, of the mutual information of their exposure."""
    return _spearman(*(mutual_information(known(side.exposed)) for side in pair.sides))


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
    spreads, components = np.linalg.svd(weighted - weights[:, None] * mean, full_matrices=False)[1:]
    if spreads[0] < _STILL:
        raise UndefinedError("the frames of an ensemble are all the same: it has no principal components")
    return mean, components[:2]


def _pca_w2(pair: EnsemblePair, mean: np.ndarray, components: np.ndarray) -> float:
    points = [(cloud - mean) @ components.T for cloud in pair.clouds]
    n = min(len(cloud) for cloud in points)
    thinned = (cloud[np.linspace(0, len(cloud) - 1, n).round().astype(int)] for cloud in points)
    return wasserstein(*thinned) / float(np.sqrt(len(pair.structure.alpha)))


def _quantiles(values: np.ndarray, n: int = 1000) -> np.ndarray:
    """(n,) of a sample, at the middles of as many equal shares: two of them pair as the 2-Wasserstein distance does."""
    return np.quantile(values, (np.arange(n) + 0.5) / n, method="inverted_cdf")


def _jaccard(first: np.ndarray, second: np.ndarray) -> float:
    either = (first | second).sum()
    if either == 0:
        raise UndefinedError("there is none in either ensemble")
    return float((first & second).sum() / either)


def pearson(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson correlation; `UndefinedError` where one of the two does not vary."""
    _require_spread(first, second)
    return float(pearsonr(first, second).statistic)


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    _require_spread(first, second)
    return float(spearmanr(first, second).statistic)


def _require_spread(*samples: np.ndarray) -> None:
    if any(len(values) < 3 or np.ptp(values) < 1e-12 for values in samples):
        raise UndefinedError("a correlation needs three values that are not all equal")
