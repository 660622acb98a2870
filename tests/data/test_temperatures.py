"""The temperature of recordings: stated by a file in their folder, and kept through windows and batches."""

import math

import numpy as np
import pytest

from openmm_mdgen.data import Windows, durations, read_arrays, read_folders, read_recording, with_temperatures
from openmm_mdgen.errors import MDGenError
from recorded import numbered, positions_of, recording, write

STATED = '{"temperature": 300}'


def test_a_file_in_the_folder_states_it_of_all_its_trajectories(tmp_path):
    for name in ("AGV", "SLA"):
        write(tmp_path / "cold", name, numbered(name)[:10])
        write(tmp_path / "unknown", name, numbered(name)[:10])
    unstated = read_folders([tmp_path / "cold"])
    assert [r.temperature for r in unstated] == [None, None]
    (tmp_path / "cold" / "protocol.json").write_text(STATED)
    assert [r.temperature for r in read_folders([tmp_path / "cold"])] == [300.0, 300.0]
    mixed = read_folders([tmp_path / "unknown", tmp_path / "cold"])
    assert [r.temperature for r in with_temperatures(mixed, 350)] == [350, 350, 300, 300]
    (tmp_path / "cold" / "protocol.json").write_text('{"temperature": 310.5}')
    assert {r.temperature for r in read_folders([tmp_path / "cold"])} == {310.5}, "what was kept must not outlive it"


def test_a_file_beside_the_folder_of_a_trajectory_counts_where_its_own_says_nothing(tmp_path):
    for name in ("AGV", "SLA"):
        topology, trajectory = write(tmp_path / name, name, numbered(name)[:10])
    (tmp_path / "protocol.json").write_text(STATED)
    (tmp_path / "SLA" / "protocol.json").write_text('{"temperature": 350, "n_frames": 10}')
    (tmp_path / "AGV" / "protocol.json").write_text('{"n_frames": 10}')
    assert [r.temperature for r in read_folders([tmp_path])] == [300, 350]
    assert read_recording(topology, trajectory).temperature == 350


def test_prepared_arrays_have_it_too(tmp_path):
    np.save(tmp_path / "AGV.npy", positions_of("AGV")[:10])
    (tmp_path / "protocol.json").write_text(STATED)
    assert [r.temperature for r in read_arrays(tmp_path, {"AGV": "AGV"}, interval=1.0)] == [300]


@pytest.mark.parametrize("stated", ['"300 K"', "0", "-5", "true", "NaN", "[300]"])
def test_what_is_no_temperature_is_refused_with_its_file(tmp_path, stated):
    write(tmp_path, "AGV", numbered("AGV")[:10])
    (tmp_path / "protocol.json").write_text(f'{{"temperature": {stated}}}')
    with pytest.raises(MDGenError, match="protocol.json: temperature .* number of kelvin"):
        read_folders([tmp_path])


def test_windows_and_whole_recordings_know_theirs():
    one, other = recording("AGV"), recording("SLA")
    known = with_temperatures([one, other], 350)
    assert known[0].frames.temperature.tolist() == [350]
    mixed = [known[0], *with_temperatures([other], 300)]
    windows = Windows(mixed, n_frames=5, frame_interval=1.0)
    batch = windows.batch(40, np.random.default_rng(0))
    kelvin = {types: 350.0 if types == tuple(one.aatype) else 300.0 for types in map(tuple, batch.aatype.tolist())}
    assert set(kelvin.values()) == {300.0, 350.0}
    assert batch.temperature.tolist() == [kelvin[tuple(types)] for types in batch.aatype.tolist()]
    assert math.isnan(float(one.frames.temperature))


def test_the_md_of_each_temperature_is_counted():
    some = [*with_temperatures([recording("AGV"), recording("SLA", n_frames=50)], 350), recording("AG")]
    assert durations([*some, *with_temperatures([recording("AG")], 300)]) == {300: 200.0, 350: 250.0}
