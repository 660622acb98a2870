"""Lists of sequences, and that nothing held out has been trained on."""

import json
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from openmm_mdgen.data import Splits, check_leaks, held_out_sequences, read_sequences, read_split
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.geometry.residues import RESTYPES

WEIGHTS = resources.files("openmm_mdgen") / "weights"
PEPTIDES = st.frozensets(st.text("AGV", min_size=1, max_size=3), max_size=12)


def csv(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


def test_lists_have_names_and_sequences(tmp_path):
    path = csv(tmp_path, "a.csv", "name,seqres,release_date\n1abc_A,GWNP,2002-10-30\n2xyz_B, AKLV ,\n")
    assert read_split(path) == {"1abc_A": "GWNP", "2xyz_B": "AKLV"}
    assert read_sequences(path) == {"GWNP", "AKLV"}
    assert read_split(csv(tmp_path, "b.csv", "\ufeffname\nAKLV\nAKLV\n")) == {"AKLV": "AKLV"}
    assert read_split(csv(tmp_path, "c.csv", "seqres\nAKLV\n")) == {"AKLV": "AKLV"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has columns none"),
        ("sequence\nAKLV\n", "has columns sequence: it needs"),
        ("name,seqres\nx,AK\n,\n", "line 3: no sequence"),
        ("name,seqres\nx,AK\nx,AV\n", "line 3: x is there twice"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(tmp_path, text, message):
    with pytest.raises(MDGenError, match=rf"list\.csv.*{message}"):
        read_split(csv(tmp_path, "list.csv", text))


def test_a_list_that_is_missing_or_not_text_is_refused(tmp_path):
    with pytest.raises(MDGenError, match=r"none\.csv cannot be read"):
        read_split(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"name\n\xff\xfe")
    with pytest.raises(MDGenError, match=r"binary\.csv cannot be read"):
        read_split(tmp_path / "binary.csv")


@given(PEPTIDES, PEPTIDES, PEPTIDES)
def test_leaks_are_found_and_named(train, validation, test):
    shared = (train & validation) | (train & test) | (validation & test)
    if not shared:
        check_leaks(train=train, validation=validation, test=test)
        return
    with pytest.raises(MDGenError) as refusal:
        check_leaks(train=train, validation=validation, test=test)
    pairs = {"train": train, "validation": validation, "test": test}
    first, second = (part.split(".")[0] for part in str(refusal.value).partition(": in ")[2].split(" and in ")[:2])
    assert sorted(pairs[first] & pairs[second])[:10] == str(refusal.value).partition(":")[0].split(" and ")[0].split(
        ", "
    )


def test_splits_leak_by_sequence_whatever_their_names(tmp_path):
    """The published ATLAS lists do, by one sequence."""
    train = csv(tmp_path, "train.csv", "name,seqres\n1abc_A,GWNP\n1def_A,AKLV\n")
    test = csv(tmp_path, "test.csv", "name,seqres\n2xyz_B,AKLV\n")
    with pytest.raises(MDGenError, match="AKLV: in train and in test"):
        Splits.read(train=train, test=test)
    splits = Splits.read(train=train, test=test, excluded=read_sequences(test))
    assert splits == Splits(train={"1abc_A": "GWNP"}, test={"2xyz_B": "AKLV"})


def test_held_out_sequences_are_the_published_tetrapeptides():
    sequences = held_out_sequences()
    assert len(sequences) == 300
    assert all(len(s) == 4 and set(s) <= set(RESTYPES) for s in sequences)


WEIGHT_FILES = sorted(path.name for path in WEIGHTS.iterdir() if path.name.endswith(".safetensors"))


@pytest.mark.parametrize("name", WEIGHT_FILES)
def test_no_bundled_weights_were_trained_on_a_held_out_sequence(name):
    with resources.as_file(WEIGHTS / name) as path, safe_open(path, framework="numpy") as file:
        about = json.loads(file.metadata()["info"])["about"]
    assert about["sequences"], "weights that do not say what they were trained on"
    assert not held_out_sequences() & set(about["sequences"])


def test_there_are_bundled_weights():
    assert WEIGHT_FILES
