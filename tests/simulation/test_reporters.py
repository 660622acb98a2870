"""What reporters of the record write, and that a restarted run writes no frame twice."""

import csv
import json

import numpy as np
import pytest
from openmm import app

from dipeptide import FRAME, STEP_SIZE
from hybrids import Says, hybrid
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.simulation.record import GENERATED, is_real
from openmm_mdgen.simulation.reporters import MaskReporter, SegmentReporter, write_segments


def test_the_record_is_written_as_csv_and_as_json_lines(tmp_path):
    simulation = hybrid(Says(True, False))
    simulation.reporters.append(SegmentReporter(tmp_path / "a.csv", 3 * FRAME))
    simulation.reporters.append(SegmentReporter(str(tmp_path / "a.jsonl"), 3 * FRAME))
    simulation.step(18 * FRAME)
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert len(rows) == len(lines) == len(simulation.segments) > 5
    for row, line, segment in zip(rows, lines, simulation.segments, strict=True):
        assert row["kind"] == line["kind"] == segment.kind
        assert int(row["start_step"]) == line["start_step"] == segment.start_step
        assert int(row["steps"]) == line["steps"] == segment.steps
        assert row["accepted"] == str(segment.accepted) and line["accepted"] == segment.accepted
        assert row["reason"] == line["reason"] == segment.reason
        assert json.loads(row["numbers"]) == line["numbers"] == segment.numbers
    assert {line["reason"] for line in lines} == {"", "told so", "in place of a rejected segment"}
    assert {p.name for p in tmp_path.iterdir()} == {"a.csv", "a.jsonl"}


def test_the_mask_has_a_row_for_each_frame(tmp_path):
    simulation = hybrid()
    simulation.reporters.append(MaskReporter(tmp_path / "mask.csv", FRAME))
    simulation.step(18 * FRAME)
    rows = np.loadtxt(tmp_path / "mask.csv", delimiter=",", skiprows=1)
    steps = FRAME * np.arange(1, 19)
    np.testing.assert_array_equal(rows[:, 0], steps)
    np.testing.assert_allclose(rows[:, 1], steps * STEP_SIZE)
    np.testing.assert_array_equal(rows[:, 2] > 0, is_real(simulation.segments, steps))
    assert rows[:, 2].tolist() == ([1] * 3 + [0] * 6) * 2


@pytest.mark.parametrize("torn", ["", "170,0.3"])
def test_a_restarted_run_writes_no_frame_twice(tmp_path, torn):
    first = hybrid(Says(True, False))
    first.reporters.append(MaskReporter(tmp_path / "mask.csv", FRAME))
    first.reporters.append(SegmentReporter(tmp_path / "a.csv", FRAME))
    first.reporters.append(app.CheckpointReporter(str(tmp_path / "a.chk"), 5 * FRAME))
    first.step(12 * FRAME)
    with open(tmp_path / "mask.csv", "a") as file:
        file.write(torn)
    second = hybrid(Says(False, True), positions=False)  # its first trial is the other's second
    second.loadCheckpoint(str(tmp_path / "a.chk"))
    assert second.currentStep == 10 * FRAME
    second.reporters.append(MaskReporter(tmp_path / "mask.csv", FRAME, append=True))
    second.reporters.append(SegmentReporter(tmp_path / "a.csv", FRAME))
    second.step(8 * FRAME)
    rows = np.loadtxt(tmp_path / "mask.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(rows[:, 0], FRAME * np.arange(1, 19))
    with open(tmp_path / "a.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert [int(row["start_step"]) for row in written] == [s.start_step for s in second.segments]
    assert sum(s.steps for s in second.segments if s.accepted) == 18 * FRAME
    assert any(s.kind == GENERATED and s.start_step < 10 * FRAME for s in second.segments)


def test_names_and_intervals_of_no_use_are_refused(tmp_path):
    with pytest.raises(MDGenError, match=r"\.csv or \.jsonl"):
        SegmentReporter("a.txt", 10)
    with pytest.raises(MDGenError, match=r"\.csv or \.jsonl"):
        write_segments("a", [])
    with pytest.raises(MDGenError, match="at least 1"):
        SegmentReporter("a.csv", 0)
    with pytest.raises(MDGenError, match="leave append out"):
        MaskReporter(tmp_path / "none.csv", 10, append=True)
