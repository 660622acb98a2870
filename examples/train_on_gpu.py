"""Makes MD of many peptides on a GPU, trains weights of published size on it, and writes them with their card.

    python examples/train_on_gpu.py LIST OUT [--minutes 60] [--md-minutes 60] [--temperatures 350 300] [--toy]

Takes as long as it is given: two hours by default, and some minutes for what is held out and the card; a minute with
--toy, on a CPU. Needs `pip install 'openmm_mdgen[train]'`.

LIST is a CSV file with a column name or seqres of sequences, such as AKLV (free termini) or ACE-AKLV-NME (caps). The
first ones of it are held out: twice as much MD of them chooses the best weights and is what the card compares with.
All others are simulated in groups, each packed into one OpenMM System, heated first and then --time long, until
--md-minutes are over; with several temperatures groups take turns. Then the steps that fit into --minutes are timed,
and a network of published size is trained on what is there, in bf16 where the GPU has it. The same command goes on
where it was stopped: with MD that is not finished, in the middle of training, or with the card. It runs on a CPU too,
where --toy shows the steps.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

from openmm_mdgen import TrajectoryGenerator
from openmm_mdgen.analysis.folders import replicas
from openmm_mdgen.data import Recording, held_out_sequences, read_folders, read_split
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing, write_json
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.production import MDSystem, planned, simulate
from openmm_mdgen.model.checkpoints import ModelInfo
from openmm_mdgen.report.card import CardPlan, Peptide, of_real_md, of_weights
from openmm_mdgen.report.card_table import tables
from openmm_mdgen.training import TrainingConfig, train
from openmm_mdgen.training.devices import Devices

FORCE_FIELD = "amber14-all.xml, implicit/gbn2.xml"
CAPS = {"ACE", "NME", "NH2"}


@dataclass(frozen=True)
class Session:
    """What does not come from the command line. Times in picosecond."""

    md_time: float = 500.0
    md_interval: float = 2.0  # between saved frames
    heating: float = 50.0
    packed: int = 256  # peptides of a group
    held_out: int = 8
    training: TrainingConfig = TrainingConfig(
        width=384,
        n_layers=5,
        n_heads=16,
        batch_size=64,
        optimizer="muon",
        learning_rate=5e-4,
        max_residues=10,
        max_padding=0.05,
        start_in_every_frame=True,
        termini=True,
        figure="flow_loss",
        validate_every=200,
    )
    timed_steps: tuple[int, int] = (20, 80)  # of two short runs, whose difference gives the time of a step
    card: CardPlan = CardPlan()


TOY = Session(
    md_time=12.0,
    md_interval=1.0,
    heating=0.2,
    packed=2,
    held_out=1,
    training=TrainingConfig(
        width=16, n_layers=1, n_heads=2, batch_size=2, n_frames=5, frame_interval=2.0, max_residues=10, warmup_steps=2,
        start_in_every_frame=True, termini=True, figure="flow_loss", validate_every=2,
    ),
    timed_steps=(1, 2),
    card=CardPlan(nanoseconds=0.1, seconds=2.0, replicas=1, segments=2),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path, help="CSV file of sequences")
    parser.add_argument("out", type=Path, help="folder for MD, training, weights and card")
    parser.add_argument("--minutes", type=float, default=60.0, help="of training, %(default)s")
    parser.add_argument("--md-minutes", type=float, default=60.0, help="after which no more MD is begun, %(default)s")
    parser.add_argument("--time", type=float, help="ps of MD of each peptide, 500")
    parser.add_argument("--packed", type=int, help="peptides of a group, 256")
    parser.add_argument("--held-out", type=int, help="sequences at the head of LIST that are held out, 8")
    parser.add_argument("--temperatures", type=float, nargs="+", default=[350.0], help="in K, %(default)s")
    parser.add_argument("--name", default="trained_on_gpu", help="name of the weights, %(default)s")
    parser.add_argument("--toy", action="store_true", help="a tiny network and little MD")
    options = parser.parse_args(sys.argv[1:] or ["--help"])
    given = {"md_time": options.time, "packed": options.packed, "held_out": options.held_out}
    session = replace(TOY if options.toy else Session(), **{k: v for k, v in given.items() if v is not None})
    sequences = list(dict.fromkeys(read_split(options.list).values()))
    held_out, others = sequences[: session.held_out], sequences[session.held_out :]
    if not held_out or not others:
        raise SystemExit(
            f"{options.list} has {len(sequences)} sequences: {session.held_out} to hold out, and no others"
        )
    apart = {bare(sequence) for sequence in held_out} | held_out_sequences()
    others = [sequence for sequence in others if bare(sequence) not in apart]
    print(f"{len(others)} peptides to train on, {len(held_out)} held out; {Devices().trainer_options()['precision']}")

    reference, folders = options.out / "held_out", [options.out / f"md_{t:g}K" for t in options.temperatures]
    step(
        "MD of what is held out", lambda: simulate_groups([held_out], [reference], options.temperatures[:1], session, 2)
    )
    groups = [others[k : k + session.packed] for k in range(0, len(others), session.packed)]
    end = time.perf_counter() + 60 * options.md_minutes
    step("MD to train on", lambda: simulate_groups(groups, folders, options.temperatures, session, 1, end))
    recordings = read_folders([folder for folder in folders if any(folder.glob("*/*.xtc"))])
    validation = read_folders([reference])
    config = replace(session.training, tell_temperature=len({r.temperature for r in recordings}) > 1)
    info = ModelInfo(options.name, config.n_frames, config.frame_interval, options.temperatures[0], FORCE_FIELD)
    weights = options.out / "training" / "weights.safetensors"

    def trained() -> None:
        steps = steps_within(options.minutes, recordings, validation, config, info, options.out, session.timed_steps)
        warmup = min(config.warmup_steps, max(1, steps // 10))
        whole = replace(config, steps=steps, warmup_steps=warmup)
        train(recordings, weights.parent, whole, info, validation=validation, progress=False)

    step("training", trained, weights)
    card = options.out / f"{options.name}.md"
    step("card", lambda: write_card(card, weights, reference, recordings, session), card)
    print(f"{weights}\n{card}")


def bare(sequence: str) -> str:
    """Letters of a sequence without its caps."""
    return "".join(part for part in sequence.split("-") if part not in CAPS)


def step(name: str, work: Callable[[], object], output: Path | None = None) -> None:
    """Do what is not done yet, and tell how long it takes; MD knows by itself what is finished."""
    if output is not None and output.exists():
        print(f"{name}: found, not done again", flush=True)
        return
    start = time.perf_counter()
    work()
    print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


def simulate_groups(
    groups: list[list[str]],
    folders: list[Path],
    temperatures: list[float],
    session: Session,
    n_replicas: int,
    end: float = float("inf"),
) -> None:
    """Simulate groups of peptides, at the temperatures in turn, until the time is over; the first one in any case."""
    for k, group in enumerate(groups):
        if k and time.perf_counter() > end:
            print(f"{k} of {len(groups)} groups are simulated, and the time is over", flush=True)
            return
        protocol = MDProtocol(
            duration=session.md_time,
            frame_interval=session.md_interval,
            heating=session.heating,
            equilibration=session.heating,
            temperature=temperatures[k % len(temperatures)],
        )
        systems: list[MDSystem] = planned(group, replicas=n_replicas, seed=1)
        simulate(systems, folders[k % len(folders)], protocol, group_size=len(systems))


def steps_within(
    minutes: float,
    recordings: list[Recording],
    validation: list[Recording],
    config: TrainingConfig,
    info: ModelInfo,
    out: Path,
    timed: tuple[int, int],
) -> int:
    """How many steps fit into a time; a training that was begun keeps its number, which its learning rate follows."""
    planned_before = out / "steps.json"
    if planned_before.exists():
        return int(json.loads(planned_before.read_text())["steps"])
    seconds = []
    for n in timed:
        start = time.perf_counter()
        trial = next(folder for k in count() if not (folder := out / "timing" / f"{n}_{k}").exists())
        train(
            recordings, trial, replace(config, steps=n, validate_every=n), info, validation=validation, progress=False
        )
        seconds.append(time.perf_counter() - start)
    each = max((seconds[1] - seconds[0]) / (timed[1] - timed[0]), 1e-3)
    steps = max(timed[1], int(60 * minutes / each))
    write_json(planned_before, {"steps": steps, "seconds_a_step": each, "minutes": minutes})
    print(f"{each:.3g} s a step: {steps} steps in {minutes:g} minutes", flush=True)
    return steps


def write_card(card: Path, weights: Path, reference: Path, recordings: list[Recording], session: Session) -> None:
    """Measure the weights on what was held out, and write all that a user must know beside them."""
    generator = TrajectoryGenerator.load(weights)
    found = {}
    for name, files in replicas(reference).items():
        try:
            peptide = Peptide.of(name, files)
            found[name] = of_real_md(peptide) | {"generated": of_weights(generator, peptide, session.card)}
        except MDGenError as error:
            print(f"{name} is not measured: {error}", flush=True)
    info = generator.info
    length, training = sum(r.duration for r in recordings) / 1000, info.about["training"]
    lines = [
        f"# {info.name}",
        "",
        f"Forward simulation, {info.n_frames - 1} frames of {info.frame_interval:g} ps from each structure. "
        f"{info.temperature:g} K, {info.force_field}. "
        f"{sum(p.numel() for p in generator.flow.parameters()) / 1e6:.3g} million parameters, stored as float16.",
        "",
        "## Data and training",
        "",
        f"MD of {len({r.sequence for r in recordings})} sequences, {length:.4g} ns, {session.md_time:g} ps of each "
        f"after {session.heating:g} ps at 600 K; {info.about['steps_taken']} steps of {training['batch_size']} "
        "windows. All settings and sequences are in the file's header (`openmm-mdgen weights show FILE`).",
        "",
        "## Measured",
        "",
        f"On {len(found)} sequences that were held out, {2 * session.md_time / 1000:g} ns of each, half of it the "
        "reference.",
        "",
        *(tables(found, ["generated"]) if found else ["No peptide could be measured."]),
    ]
    with replacing(card) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_json(card.with_suffix(".json"), {"session": asdict(session), "peptides": found})


if __name__ == "__main__":
    main()
