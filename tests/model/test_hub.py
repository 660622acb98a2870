"""Weights by name: from a server on the loopback that answers as the hub does, then from the cache."""

import hashlib
import io
import json
import os
import subprocess
import sys
from argparse import Namespace

import pytest
import torch
from huggingface_hub import constants

from hub_server import COMMIT, NOBODY, HubServer, ask_at, empty_cache, published
from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.errors import CheckpointError
from openmm_mdgen.generators import registry
from openmm_mdgen.model import checkpoints, hub
from openmm_mdgen.model.hub import Location

NAME = "mdgen/forward_sim"
FILE = "bjing-mit/mdgen/forward_sim.ckpt"


@pytest.fixture(scope="module")
def weights():
    return published()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no way to the real hub."""
    return empty_cache(tmp_path, monkeypatch)


@pytest.fixture
def server(cache, weights, monkeypatch):
    with HubServer(forward_sim=weights) as server:
        ask_at(monkeypatch, server.endpoint)
        yield server


def left(cache):
    """Files in the cache that hold anything of a repository, and kept checksums."""
    files = [path for path in cache.rglob("*") if path.is_file() or path.is_symlink()]
    return [str(path.relative_to(cache)) for path in files if path.name != "CACHEDIR.TAG"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf://owner/repo/w.ckpt", ("owner/repo", "w.ckpt", "main")),
        ("hf://owner/repo.x/sub/w.ckpt@v1", ("owner/repo.x", "sub/w.ckpt", "v1")),
        ("hf://owner/repo@v1/sub/w.ckpt", ("owner/repo", "sub/w.ckpt", "v1")),
        ("hf://owner/repo/w.ckpt@refs/pr/3", ("owner/repo", "w.ckpt", "refs/pr/3")),
    ],
)
def test_names_of_files_on_the_hub(name, expected):
    assert Location.of(name) == Location(*expected)


@pytest.mark.parametrize(
    "name", ["hf://owner/repo", "hf://owner", "hf://o/r/../w.ckpt", "hf://o/r//w.ckpt", "hf://o/r@a/w@b", "hf://o/r/w@"]
)
def test_names_of_another_form_are_refused(name):
    with pytest.raises(CheckpointError, match="hf://owner/repository/path/file"):
        checkpoints.load(name)


def test_published_weights_are_fetched_once_and_used_without_a_network(server, cache, weights, monkeypatch):
    made = TrajectoryGenerator.load(NAME, device="cpu")
    assert made.info.name == "forward_sim" and made.temperature == 350.0 and made.info.frame_interval == 10.0
    assert made.force_field == "amber14-all.xml, amber14/tip3pfb.xml"
    assert len(server.transfers()) == 1

    n_asked = len(server.asked)
    ask_at(monkeypatch, NOBODY)
    again = registry.named(NAME, device="cpu")
    assert len(server.asked) == n_asked
    for ours, theirs in zip(made.flow.parameters(), again.flow.parameters(), strict=True):
        assert torch.equal(ours, theirs)

    (record,) = (cache / "assets").rglob("*.json")
    assert json.loads(record.read_text())["sha256"] == hashlib.sha256(weights).hexdigest()
    assert [path.name for _, path in hub.cached_files()] == ["forward_sim.ckpt"]


def test_the_environment_decides_on_server_and_cache_and_a_second_start_asks_nobody(server, tmp_path):
    code = "from openmm_mdgen.model import checkpoints as c; print(c.load('mdgen/forward_sim')[1].temperature)"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")} | {
        "HF_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    for given in ({"HF_ENDPOINT": server.endpoint}, {"HF_HUB_OFFLINE": "1"}):
        done = subprocess.run([sys.executable, "-c", code], env=environment | given, capture_output=True, text=True)
        assert done.stdout.strip() == "350.0", done.stderr
        assert len(server.transfers()) == 1
    assert (tmp_path / "home" / "hub" / "models--bjing-mit--mdgen").is_dir()


@pytest.mark.parametrize("is_off", [True, False])
def test_without_cache_and_network_one_line_says_what_to_do(cache, monkeypatch, is_off):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_off)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load(NAME)
    said = str(caught.value)
    assert "\n" not in said and "openmm-mdgen weights fetch mdgen/forward_sim" in said
    assert ("HF_HUB_OFFLINE is set" if is_off else f"{NOBODY} cannot be reached") in said
    assert "resolve/main/forward_sim.ckpt" in said and str(cache / "hub" / "models--bjing-mit--mdgen") in said
    assert left(cache) == []


def test_a_broken_transfer_goes_on_where_it_broke(server, weights, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 250)
    server.breaks = [1000]
    checkpoints.load(NAME)
    first, second = server.transfers()
    assert (first, second) == ("", "bytes=1000-")


def test_a_transfer_whose_connection_is_reset_is_tried_again(server):
    server.breaks, server.resets = [1000], True
    assert checkpoints.load(NAME)[1].temperature == 350.0
    assert len(server.transfers()) == 2


def test_a_network_that_one_has_to_log_in_to_is_told(server, cache):
    server.page = HTML
    with pytest.raises(CheckpointError, match=r"not in the cache and .* does not answer as the hub does"):
        checkpoints.load(NAME)
    assert left(cache) == []


def test_a_transfer_that_keeps_breaking_is_refused_and_leaves_nothing(server, cache, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.breaks = [0] * 100
    with pytest.raises(CheckpointError, match=r"^mdgen/forward_sim: the transfer from http.* broke off"):
        checkpoints.load(NAME)
    # Versions of huggingface_hub that go on with a part in a later run keep it.
    assert [path for path in left(cache) if not path.endswith((".incomplete", ".lock", "refs/main"))] == []
    server.breaks = []
    assert checkpoints.load(NAME)[1].temperature == 350.0


HTML = b"<!DOCTYPE html><html><body>Please log in to the network.</body></html>"


class _Attack:
    def __reduce__(self):
        return (print, ("owned",))


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("a page", "it is a web page"),
        ("cut", "cannot be read as weights"),
        ("unsafe", "print would have to be run, and no code of such files is"),
        ("another variant", "trained with mpnn are not supported"),
    ],
)
def test_a_repository_with_a_file_of_no_use_is_refused_by_name(server, cache, weights, capfd, how, says):
    server.files[FILE] = {
        "a page": lambda: HTML,
        "cut": lambda: weights[: len(weights) // 2],
        "unsafe": lambda: saved({"state_dict": {}, "hyper_parameters": _Attack()}),
        "another variant": lambda: saved({"state_dict": {}, "hyper_parameters": {"args": Namespace(mpnn=True)}}),
    }[how]()
    for name in (NAME, "hf://bjing-mit/mdgen/forward_sim.ckpt"):
        with pytest.raises(CheckpointError) as caught:
            checkpoints.load(name)
        said = str(caught.value)
        assert said.startswith(f"{name}: ") and says in said and "removed from the cache" in said and "\n" not in said
        assert left(cache) == []
    assert "owned" not in capfd.readouterr().out


@pytest.mark.parametrize("length", ["as announced", "shorter"])
def test_another_content_than_announced_is_refused_and_leaves_nothing(server, cache, weights, length):
    server.sends[FILE] = HTML.ljust(len(weights)) if length == "as announced" else HTML
    with pytest.raises(CheckpointError, match=r"^mdgen/forward_sim: .*(checksum is not|cannot be fetched)"):
        checkpoints.load(NAME)
    assert left(cache) == []
    server.sends.clear()
    assert checkpoints.load(NAME)[1].temperature == 350.0


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_file_that_was_damaged_in_the_cache_is_refused_and_removed(server, cache, weights, is_recorded):
    path = checkpoints.find(NAME)
    if not is_recorded:  # as another machine's cache has it: the blob's name is a checksum
        next((cache / "assets").rglob("*.json")).unlink()
    path.resolve().write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"^mdgen/forward_sim: the file in the cache is damaged"):
        checkpoints.load(NAME)
    assert left(cache) == []
    checkpoints.load(NAME)
    assert len(server.transfers()) == 2


def test_other_files_of_the_repository_stay(server, cache, weights):
    server.files["bjing-mit/mdgen/atlas.ckpt"] = HTML
    checkpoints.load(NAME)
    before = left(cache)
    with pytest.raises(CheckpointError, match=r"^mdgen/atlas: "):
        checkpoints.load("mdgen/atlas")
    assert [path for path in left(cache) if ".lock" not in path] == [path for path in before if ".lock" not in path]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mdgen/atlas", "has no file 'atlas.ckpt' at revision 'main'"),
        ("hf://bjing-mit/mdgen/forward_sim.ckpt@v9", "has no revision 'v9'"),
        ("hf://nobody/nothing/w.ckpt", "the hub shows no repository nobody/nothing"),
    ],
)
def test_what_the_hub_does_not_have_is_named(server, cache, name, says):
    with pytest.raises(CheckpointError, match=rf"^{name}: .*{says}"):
        checkpoints.load(name)
    assert left(cache) == []


def test_a_private_repository_needs_a_token(server, cache, monkeypatch):
    server.token = "another-token"
    with pytest.raises(CheckpointError, match=r"if it is private, set HF_TOKEN"):
        checkpoints.load(NAME)
    server.token = "a-token"
    assert checkpoints.load(NAME)[1].temperature == 350.0


def test_a_revision_is_kept_apart(server, cache):
    one = checkpoints.find("hf://bjing-mit/mdgen/forward_sim.ckpt@v1")
    assert one == checkpoints.find(f"hf://bjing-mit/mdgen@{COMMIT}/forward_sim.ckpt")
    assert len(server.transfers()) == 1


def test_the_newest_is_fetched_where_it_is_asked_for(server, cache):
    old = checkpoints.find(NAME)
    assert checkpoints.fetched(NAME, newest=True) == old
    server.files[FILE], server.commit = published(seed=1), "f" * 40
    assert checkpoints.find(NAME) == old
    new = checkpoints.fetched(NAME, newest=True)
    assert new.read_bytes() == server.files[FILE] and checkpoints.find(NAME) == new


def test_a_file_of_the_same_name_is_not_mistaken(server, cache, weights, monkeypatch):
    monkeypatch.chdir(cache)
    (cache / "mdgen").mkdir()
    (cache / "mdgen" / "forward_sim").write_bytes(weights)
    (cache / "mdgen" / "own.ckpt").write_bytes(weights)
    with pytest.raises(CheckpointError, match="published weights and of the file .*write ./mdgen/forward_sim"):
        checkpoints.load(NAME)
    assert checkpoints.load("mdgen/own.ckpt")[1].name == "own"
    with pytest.raises(checkpoints.NoSuchWeightsError, match="published ones are mdgen/forward_sim, "):
        checkpoints.load("mdgen/forward")
    assert server.asked == []


def test_bundled_weights_never_ask_for_the_hub():
    code = (
        "import sys; from openmm_mdgen.model import checkpoints; import openmm_mdgen.commands.main;"
        "checkpoints.find('forward_peptide'); print('huggingface_hub' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
