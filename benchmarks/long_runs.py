"""What long runs cost: one that is killed ten times beside one that is not, and the memory of short and long ones.

    python benchmarks/long_runs.py killed --time 100ns --kills 10
    python benchmarks/long_runs.py memory --short 10ns --long 1us

``killed`` runs ``openmm-mdgen run`` once undisturbed; then again, killed by SIGKILL at random frames and given again
each time, and at last to its end. It prints whether both trajectories are equal bit for bit, what is left over, and
how much was generated in all attempts together, in frames and in processor time. ``memory`` prints the peaks of
resident memory of two runs that differ in their length alone.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = [sys.executable, "-c", "from openmm_mdgen.commands.main import main; main()", "run"]
DCD_HEADER = 276  # holds the date


def started(words: list[str], folder: Path) -> subprocess.Popen:
    return subprocess.Popen([*PROGRAM, *words], cwd=folder, stdout=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen) -> tuple[str, float, float]:
    """What a process printed, its processor time in seconds, and its peak of resident memory in MB."""
    assert process.stdout
    printed = process.stdout.read()
    _, _, used = os.wait4(process.pid, 0)
    return printed, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def n_frames(path: Path, frame_size: int) -> int:
    return max(0, path.stat().st_size - DCD_HEADER) // frame_size if path.exists() else 0


def killed(folder: Path, words: list[str], kills: int, seed: int) -> None:
    printed, seconds, _ = ended(started([*words, "--out", "whole.dcd"], folder))
    print(printed.strip())
    n_atoms = sum(line.startswith("ATOM") for line in (folder / "whole.pdb").read_text().splitlines())
    frame_size = 3 * (4 * n_atoms + 8)
    total = n_frames(folder / "whole.dcd", frame_size)
    places = sorted(random.Random(seed).sample(range(1, total), kills))
    generated, spent, kept = 0, 0.0, 0
    for place in places:
        process = started([*words, "--out", "cut.dcd"], folder)
        while process.poll() is None and n_frames(folder / "cut.dcd", frame_size) < place:
            time.sleep(0.002)
        process.kill()
        reached = n_frames(folder / "cut.dcd", frame_size)
        printed, used, _ = ended(process)
        kept = int(printed.split("after ")[1].split()[0]) if "after " in printed else 0
        generated += reached - kept
        spent += used
    printed, used, _ = ended(started([*words, "--out", "cut.dcd"], folder))
    kept = int(printed.split("after ")[1].split()[0])
    generated, spent = generated + total - kept, spent + used
    whole, cut = ((folder / f"{name}.dcd").read_bytes() for name in ("whole", "cut"))
    print(f"equal bit for bit: {whole[:92] + whole[DCD_HEADER:] == cut[:92] + cut[DCD_HEADER:]}")
    print(f"files: {sorted(path.name for path in folder.iterdir())}")
    print(f"frames generated in all {kills + 1} attempts over those of one run: {generated / total:.3f}")
    print(f"processor time, with {kills} starts of the program: {spent:.0f} s over {seconds:.0f} s")


def memory(folder: Path, words: list[str], times: tuple[str, str]) -> None:
    peaks = []
    for k, length in enumerate(times):
        printed, _, peak = ended(started([*words, "--time", length, "--out", f"{k}.dcd"], folder))
        print(f"{printed.strip()}: peak of resident memory {peak:.0f} MB")
        peaks.append(peak)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("killed", "memory"))
    parser.add_argument("--structure", default="AKLV")
    parser.add_argument("--generator")
    parser.add_argument("--time", default="100ns", help="of the run that is killed")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--short", default="10ns")
    parser.add_argument("--long", default="1us")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    words = [asked.structure, "--seed", str(asked.seed)]
    words += ["--generator", str(Path(asked.generator).resolve())] if asked.generator else []
    with tempfile.TemporaryDirectory() as folder:
        if asked.what == "killed":
            killed(Path(folder), [*words, "--time", asked.time], asked.kills, asked.seed)
        else:
            memory(Path(folder), words, (asked.short, asked.long))


if __name__ == "__main__":
    main()
