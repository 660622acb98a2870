"""README, in order: its commands and its script run one after the other, shortened, and its set-ups are there."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SHORTER = {
    "--time 10ns": "--time 980ps",
    "--extend 90ns": "--extend 490ps",
    "--time 1ns": "--time 100ps --frame-interval 1ps --heating 0ps",
    "step(2_500_000)": "step(25_000)",
}


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def shortened(text):
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text


def test_the_script_is_that_of_the_documentation():
    assert blocks("python") == [(ROOT / "docs" / "snippets" / "simulation.py").read_text(encoding="utf-8")]


def test_each_set_up_is_one_command_that_makes_its_own_environment():
    setups = blocks("bash")
    assert setups == ["./quickstart\n", "./check\n"]
    for name in ("quickstart", "check"):
        script = (ROOT / name).read_text(encoding="utf-8")
        assert os.access(ROOT / name, os.X_OK)
        assert "python3 -m venv .venv" in script and "torch==2.13.0" in script
        subprocess.run(["sh", "-n", str(ROOT / name)], check=True)


def test_links_lead_somewhere():
    missing = [
        target
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT)
        if not target.startswith("http") and not (ROOT / target).exists()
    ]
    assert missing == []


@pytest.mark.slow
def test_commands_and_script_run_in_their_order(tmp_path):
    [commands] = [block for block in blocks("") if block.startswith("openmm-mdgen")]
    lines = commands.splitlines()
    assert len(lines) == 4 and all(line.startswith("openmm-mdgen ") for line in lines)
    for line in lines:
        words = shlex.split(shortened(line))[1:]
        done = subprocess.run(
            [sys.executable, "-m", "openmm_mdgen", *words], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").stat().st_size > 10_000
    script = tmp_path / "script.py"
    script.write_text(shortened(blocks("python")[0]))
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, check=True)
    assert (tmp_path / "script.dcd").stat().st_size > 0
