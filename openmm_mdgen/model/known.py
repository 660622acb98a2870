"""What is known of published weights beyond what their files say: one table, each row with its source.

Times in picosecond, temperatures in kelvin.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

CITATION = (
    "Jing, Stärk, Jaakkola, Berger: Generative Modeling of Molecular Dynamics Trajectories, NeurIPS 2024, "
    "arXiv 2409.17808"
)
_ATLAS_CITATION = "Vander Meersche et al.: ATLAS, Nucleic Acids Research 52, D384 (2024)"
_TETRAPEPTIDES = "arXiv 2409.17808, tetrapeptide simulations; README of github.com/bjing2016/mdgen, Datasets"


@dataclass(frozen=True)
class TrainingData:
    """Real MD that published weights were trained on.

    Parameters
    ----------
    words : str
        What was simulated.
    force_field : str
        Force field and solvent, in the words that `simulation.training_conditions` compares with a System.
    temperature : float
        Kelvin.
    saved_interval : float
        Picoseconds between the frames of the trajectories as they were written, before any thinning.
    source : str
        Where all of this is said.
    """

    words: str
    force_field: str
    temperature: float
    saved_interval: float
    source: str


EXPLICIT = TrainingData(
    "tetrapeptides in explicit water", "amber14-all.xml, amber14/tip3pfb.xml", 350.0, 0.1, _TETRAPEPTIDES
)
IMPLICIT = TrainingData(
    "tetrapeptides in implicit solvent", "amber14-all.xml, implicit/gbn2.xml", 350.0, 0.1, _TETRAPEPTIDES
)
ATLAS = TrainingData("proteins of ATLAS", "charmm36m, tip3p", 300.0, 10.0, _ATLAS_CITATION)

# The published lists of sequences that training reads; a checkpoint's saved arguments name the file.
_BY_LIST = {"4AA_train": EXPLICIT, "4AA_implicit_train": IMPLICIT, "atlas_train": ATLAS}


def training_data(args: dict[str, Any]) -> tuple[TrainingData, str]:
    """What the weights of a published checkpoint were trained on.

    Force field, solvent and temperature are in no file. Which simulations they were shows in the list of sequences that
    the saved arguments name; where it is another, the published weights of the same task tell.

    Parameters
    ----------
    args : dict
        Saved arguments of the checkpoint.

    Returns
    -------
    data : TrainingData
    reason : str
        How that is known.
    """
    list_name = PurePosixPath(str(args.get("train_split") or "")).stem
    if list_name in _BY_LIST:
        return _BY_LIST[list_name], f"the file names the list {list_name!r}"
    reason = "the file does not say; those of the published weights of its task"
    if args.get("atlas"):
        return ATLAS, reason
    return (IMPLICIT if args.get("cond_interval") else EXPLICIT), reason


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that can be fetched by a short name.

    Parameters
    ----------
    name : str
        What a user writes.
    location : str
        Where the file is, as ``hf://owner/repository/file``.
    task : str
        Name in `model.tasks.TASKS`.
    chain_lengths : str
        Number of residues of the chains that they take.
    n_frames : int
        Frames of one segment.
    frame_interval : float
        Picoseconds between frames.
    data : TrainingData
    n_parameters : int
        Trained numbers, each 4 bytes of the file.
    licence, citation, source : str
        The source is that of task, frames and interval.
    """

    name: str
    location: str
    task: str
    chain_lengths: str
    n_frames: int
    frame_interval: float
    data: TrainingData
    n_parameters: int
    licence: str = "MIT"
    citation: str = CITATION
    source: str = "README of github.com/bjing2016/mdgen, Training"


def _published(file: str, *values: Any) -> PublishedWeights:
    return PublishedWeights(f"mdgen/{file}", f"hf://bjing-mit/mdgen/{file}.ckpt", *values)


KNOWN = {
    weights.name: weights
    for weights in (
        _published("forward_sim", "forward_simulation", "4", 1000, 10.0, EXPLICIT, 34_152_521),
        _published("interpolation", "interpolation", "4", 100, 10.0, EXPLICIT, 34_166_736),
        _published("upsampling", "upsampling", "4", 1000, 0.1, IMPLICIT, 34_152_521),
        _published("inpainting", "inpainting", "4", 100, 1.0, EXPLICIT, 34_633_336),
        _published("atlas", "forward_simulation", "1-256", 250, 400.0, ATLAS, 34_152_521),
    )
}
