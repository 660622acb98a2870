"""Progress that is told in a terminal, and where there is none."""

import io
import re
import sys
import time

import pytest

from openmm_mdgen.commands.terminal import folded
from openmm_mdgen.progress import Pace, ProgressLines, progress_bar


def test_a_line_comes_now_and_then(capsys):
    now = [0.0]
    lines = ProgressLines("generating", 10_000, "frames", done=1000, clock=lambda: now[0])
    told = []
    for minute in range(1, 61):
        now[0] = 60.0 * minute
        lines.advance(100)
        if printed := capsys.readouterr().err:
            told.append((minute, printed))
    assert told[0] == (1, "generating: 1100 of 10000 frames, 1.7/s, 1:29:00 left\n")
    assert [minute for minute, _ in told[:10]] == list(range(1, 11))
    assert len(told) < 30 and told[-1][0] > 50


def test_a_short_run_prints_no_line(capsys):
    lines = ProgressLines("generating", 10, "frames")
    lines.advance(10)
    assert capsys.readouterr().err == ""


def test_no_time_is_told_before_anything_was_done():
    now = [0.0]
    pace = Pace(10, 5, clock=lambda: now[0])
    assert pace.left == ""
    now[0] = 2.0
    pace.advance(1)
    assert pace.left == "0:00:08" and pace.rate == "0.5"


def test_a_rate_is_a_plain_number_of_two_digits():
    now = [0.0]
    told = []
    for total in (73_412, 123, 9.96, 0.04321):
        pace = Pace(10**6, clock=lambda: now[0])
        now[0] += 1.0
        pace.advance(total)
        told.append(pace.rate)
    assert told == ["73000", "120", "10", "0.043"]


def test_a_line_tells_the_latest_loss(capsys):
    now = [0.0]
    lines = ProgressLines("training", 100, "steps", note="loss", clock=lambda: now[0])
    now[0] = 100.0
    lines.advance(50, "0.912")
    assert capsys.readouterr().err == "training: 50 of 100 steps, 0.5/s, 0:01:40 left, loss 0.912\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize(
    "label, total, unit, note", [("generating", 100_000, "frames", ""), ("training", 12_000, "steps", "loss")]
)
def test_a_bar_with_its_numbers_fits_the_terminal(monkeypatch, width, label, total, unit, note):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    for name, value in (("TERM", "xterm"), ("COLUMNS", str(width)), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    with progress_bar(label, total, unit, note=note) as advance:
        time.sleep(0.01)
        advance(total // 2, "0.912" if note else "")
    line = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue()).rstrip())[-1]
    assert re.search(rf"{total // 2}/{total} {unit} \d+/s {'loss 0.912 ' if note else ''}\S+ left", line)
    assert "…" not in line and len(line.rstrip()) <= width


@pytest.mark.parametrize("kind, is_terminal", [("dumb", True), ("xterm", False)])
def test_where_no_line_can_be_drawn_anew_none_is(monkeypatch, kind, is_terminal):
    """A file stays one of lines where colours are forced, as some services of continuous integration do."""
    terminal = Terminal() if is_terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("generating", 10) as advance:
        advance(5)
    assert terminal.getvalue() == ""


def test_a_line_is_broken_between_words_in_a_narrow_terminal_and_never_in_a_file(monkeypatch):
    line = "TICA-0,1                not defined: 80 frames are too few for a lag time of 100 frames (100 ps)"
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert folded(line, 24) == line
    monkeypatch.setattr(sys, "stdout", Terminal())
    first, second = folded(line, 24).splitlines()
    assert len(first) <= 80 and second.startswith(" " * 24) and f"{first} {second.strip()}" == line
    assert folded("", 24) == ""
