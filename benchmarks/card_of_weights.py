"""Measures weights of forward simulation on peptides that they were not trained on, and prints the tables of a card.

python benchmarks/card_of_weights.py WEIGHTS FOLDER OUT [--old WEIGHTS] [--training FOLDER]

FOLDER holds real MD of each peptide, NAME.pdb with NAME.xtc, or replicas NAME_0, NAME_1 and so on (best 5 ns or more,
frames 1, 2, 5 or 10 ps apart): one half is the reference, the other half gives the rows of real MD. Peptides of any
length, capped or free, that the weights take; others are named. Of each are told: distances beside MD of 100 ps, 1 ns
and the other half, populations of minor states, memory of the start (segments from real frames), relaxation times,
whole frames, and the length of MD that is as near. With --training, the loss of the flow on that MD and on FOLDER: how
much the weights remember. Each result is kept in OUT as JSON, and the same command goes on where it was stopped;
several may share one OUT, with other --peptides. OUT/card.md and OUT/card.json hold what is printed.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import track

from openmm_mdgen.analysis.folders import replicas
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.files import replacing, write_json
from openmm_mdgen.generators.registry import loaded
from openmm_mdgen.generators.trajectory import TrajectoryGenerator
from openmm_mdgen.report.card import CardPlan, Peptide, of_real_md, of_weights
from openmm_mdgen.report.card_table import tables

MOST_RECORDINGS = 32  # on which the loss is measured, evenly spread over a folder


def options() -> argparse.Namespace:
    plan = CardPlan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="name or file of the weights")
    parser.add_argument("folder", type=Path, help="real MD of peptides that they were not trained on")
    parser.add_argument("out", type=Path, help="folder for the results")
    parser.add_argument("--old", action="append", default=[], help="other weights to set beside; may be repeated")
    parser.add_argument("--peptides", nargs="+", help="names in FOLDER; default: all")
    parser.add_argument("--nanoseconds", type=float, default=plan.nanoseconds, help="generated of each, %(default)s ns")
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="most for that, %(default)s s of wall time")
    parser.add_argument("--replicas", type=int, default=plan.replicas, help="rollouts, %(default)s")
    parser.add_argument("--segments", type=int, default=plan.segments, help="real frames to start from, %(default)s")
    parser.add_argument("--seed", type=int, default=plan.seed, help="seed of generation, %(default)s")
    parser.add_argument("--training", type=Path, help="MD that the weights were trained on")
    parser.add_argument("--device", default="auto", help="where the network runs: auto, cpu or cuda")
    return parser.parse_args()


def kept(path: Path, settings: dict, compute: Any) -> dict:
    """What is in a file if it was made with the same settings; else compute it and keep it there."""
    if path.exists() and (found := json.loads(path.read_text()))["settings"] == settings:
        return found["result"]
    result = compute()
    write_json(path, {"settings": settings, "result": result})
    return result


def flow_losses(generator: TrajectoryGenerator, folders: dict[str, Path]) -> list[str]:
    """The mean loss on windows of each folder, and how far they lie apart."""
    from openmm_mdgen.data import read_folders
    from openmm_mdgen.data.temperatures import with_temperatures
    from openmm_mdgen.training.validation import HeldOut

    means = {}
    for name, folder in folders.items():
        recordings = with_temperatures(read_folders([folder]), generator.temperature)
        chosen = recordings[:: max(1, len(recordings) // MOST_RECORDINGS)]
        info = generator.info
        figures = HeldOut(chosen, info.n_frames, info.frame_interval, seed=1, figure="flow_loss").figures(
            generator.flow
        )
        means[name] = sum(figures) / len(figures)
    told = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items())
    return [f"Flow loss: {told}; apart by {means['held out'] - means['training']:+.3f}", ""]


def main() -> None:
    chosen = options()
    plan = CardPlan(chosen.nanoseconds, chosen.seconds, chosen.replicas, chosen.segments, chosen.seed)
    known = replicas(chosen.folder)
    names = chosen.peptides or list(known)
    if missing := [name for name in names if name not in known]:
        raise SystemExit(f"{chosen.folder} has no MD of {', '.join(missing)}")
    generators = {name: loaded(name, device=chosen.device) for name in (chosen.weights, *chosen.old)}
    chosen.out.mkdir(exist_ok=True, parents=True)
    found: dict[str, dict] = {}
    for name in track(names, "measuring"):
        files = [str(path) for pair in known[name] for path in pair]
        peptide: list[Peptide] = []  # read when it is first needed

        def md(name: str = name, peptide: list[Peptide] = peptide) -> Peptide:
            peptide[:] = peptide or [Peptide.of(name, known[name])]
            return peptide[0]

        try:
            found[name] = kept(chosen.out / f"{name}.real_md.json", {"files": files}, lambda md=md: of_real_md(md()))
            for k, (weights, generator) in enumerate(generators.items()):
                settings = {"files": files, "weights": getattr(generator, "checksum", weights), **asdict(plan)}
                path = chosen.out / f"{name}.{Path(weights).stem}.{k}.json"
                found[name][weights] = kept(path, settings, lambda g=generator, md=md: of_weights(g, md(), plan))
        except MDGenError as error:
            found.pop(name, None)
            print(f"{name} is left out: {error}")
    lines = tables(found, list(generators))
    if chosen.training is not None:
        lines += [
            "",
            *flow_losses(generators[chosen.weights], {"training": chosen.training, "held out": chosen.folder}),
        ]
    write_json(chosen.out / "card.json", {"plan": asdict(plan), "peptides": found})
    with replacing(chosen.out / "card.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
