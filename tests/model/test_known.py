"""The conditions that published weights were trained under, for each of the five files and for files of other names."""

import gzip
import json
from pathlib import Path

import pytest
import torch

from openmm_mdgen.model import checkpoints
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.known import ATLAS, EXPLICIT, IMPLICIT, KNOWN, training_data
from published import FIXTURES


def published_args():
    """The saved arguments of the five files, as the published commands write them."""
    with gzip.open(FIXTURES / "checkpoint_layout.json.gz", "rt") as file:
        commands = json.load(file)["published_commands"]
    return {name: layout["hyper_parameters"]["args"] for name, layout in commands.items()}


def test_conditions_are_those_of_the_paper():
    infos = {name: checkpoints._published_info(name, args) for name, args in published_args().items()}
    said = {name: (info.temperature, info.force_field, info.frame_interval) for name, info in infos.items()}
    water = "amber14-all.xml, amber14/tip3pfb.xml"
    assert said == {
        "forward_sim": (350.0, water, 10.0),
        "interpolation": (350.0, water, 10.0),
        "upsampling": (350.0, "amber14-all.xml, implicit/gbn2.xml", 0.1),
        "inpainting": (350.0, water, 1.0),
        "atlas": (300.0, "charmm36m, tip3p", 400.0),
    }
    for info in infos.values():
        assert "the file names the list" in info.about["conditions"] and "2409.17808" in info.about["citation"]


@pytest.mark.parametrize("name", KNOWN)
def test_the_table_says_what_the_file_will(name):
    weights, args = KNOWN[name], published_args()[name.removeprefix("mdgen/")]
    config, info = checkpoints.published_config(args), checkpoints._published_info(name, args)
    assert weights.location == f"hf://bjing-mit/{name}.ckpt"
    assert config.task.name == weights.task
    assert (info.n_frames, info.frame_interval) == (weights.n_frames, weights.frame_interval)
    assert training_data(args)[0] is weights.data
    lengths = "1-256" if not config.network.position_embedding else str(config.network.max_residues)
    assert lengths == weights.chain_lengths
    with torch.device("meta"):
        assert sum(p.numel() for p in TrajectoryFlow(config).parameters()) == weights.n_parameters


def test_a_list_of_another_name_is_known_by_its_task():
    expected = {"sim_condition": EXPLICIT, "tps_condition": EXPLICIT, "cond_interval": IMPLICIT, "atlas": ATLAS}
    for task, data in expected.items():
        found, reason = training_data({task: 100, "train_split": "my_own.csv"})
        assert found is data and "does not say" in reason
    assert training_data({"cond_interval": 100, "train_split": "splits/4AA_train.csv"})[0] is EXPLICIT
    assert training_data({"train_split": None})[0] is EXPLICIT


def test_the_page_of_published_weights_has_the_table():
    text = (Path(__file__).parents[2] / "docs" / "published_weights.md").read_text()
    for weights in KNOWN.values():
        values = (
            f"`{weights.name}`",
            weights.task,
            weights.chain_lengths,
            str(weights.n_frames),
            f"{weights.frame_interval:g} ps",
            f"{weights.data.words}, {weights.data.temperature:g} K",
        )
        assert f"| {' | '.join(values)} |" in text
