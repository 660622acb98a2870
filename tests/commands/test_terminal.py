"""Progress that is told where there is no terminal."""

from openmm_mdgen.commands.terminal import Pace, ProgressLines


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
