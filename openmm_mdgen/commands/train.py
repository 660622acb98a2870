"""``openmm-mdgen train``: weights from one's own trajectories."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openmm_mdgen.errors import MDGenError

if TYPE_CHECKING:
    from openmm_mdgen.data import Recording, Splits


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Values of the file become the defaults of this call."""
    if path is None:
        return None
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise MDGenError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise MDGenError(f"{path}: give one 'option: value' a line")
    known = [p.name for p in context.command.params if p.name and p.name != "config"]
    defaults: dict[str, Any] = {}
    for key, value in values.items():
        name = str(key).replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise MDGenError(f"{path}: there is no option {key!r}; the nearest is {near!r}")
        defaults[name] = value
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


_OF_THE_WEIGHTS = {"task", "factor", "designed", "frames", "frame_interval", "width", "layers", "heads", "time_mixer"}
_NOT_IN_FINE_TUNING = _OF_THE_WEIGHTS | {"init", "validate", "validate_every", "patience", "devices", "nodes", "warmup"}
_NOT_IN_FINE_TUNING |= {"validation_split", "max_residues"}


@dataclass(frozen=True)
class _Source:
    """What is read from folders: PDB and XTC files, or prepared arrays where their interval is given."""

    array_interval: float | None
    array_suffix: str

    def read(
        self, folders: list[Path], listed: dict[str, str] | None, excluded: frozenset[str] = frozenset()
    ) -> list[Recording]:
        """Those of a split, sequences by name; all there are without one."""
        from openmm_mdgen.data import read_arrays, read_folders

        if self.array_interval is None:
            return read_folders(folders, excluded=excluded, only=None if listed is None else set(listed.values()))
        if listed is None:
            raise MDGenError(
                "--array-interval: arrays do not hold their sequences; give those to train on as --split, those to "
                "validate on as --validation-split"
            )
        if len(folders) > 1:
            raise MDGenError(f"--array-interval reads one folder, not {len(folders)}: put the arrays into one")
        return read_arrays(folders[0], listed, interval=self.array_interval, suffix=self.array_suffix)


def _splits(train: Path | None, validation: Path | None, test: Path | None, excluded: frozenset[str]) -> Splits | None:
    from openmm_mdgen.data import Splits

    if train is not None:
        return Splits.read(train=train, validation=validation, test=test, excluded=excluded)
    if validation is not None or test is not None:
        raise MDGenError("--validation-split and --test-split go with --split, the CSV of those to train on")
    return None


def train(
    context: typer.Context,
    folders: Annotated[list[Path], typer.Argument(help="Folders with NAME.pdb and NAME.xtc of one molecule each.")],
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and weights; a run found there is taken up again.")],
    config: Annotated[
        Path | None,
        typer.Option(
            callback=_read_config,
            is_eager=True,
            help="YAML file of these options, by their long names; those given on the command line count more.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the weights; by default that of the task.")] = None,
    task: Annotated[
        str, typer.Option(help="forward_simulation, interpolation, upsampling or inpainting.")
    ] = "forward_simulation",
    factor: Annotated[int, typer.Option(min=2, help="Of upsampling: every so many frames one is known.")] = 100,
    designed: Annotated[list[int] | None, typer.Option(help="Of inpainting: residues, from 1. [default: 2 3]")] = None,
    temperature: Annotated[float, typer.Option(help="Kelvin, of the trajectories.")] = 350.0,
    force_field: Annotated[str, typer.Option(help="Of the trajectories.")] = "amber14-all.xml, implicit/gbn2.xml",
    exclude: Annotated[list[Path] | None, typer.Option(help="CSV of sequences that are not to be trained on.")] = None,
    split: Annotated[Path | None, typer.Option(help="CSV of names and sequences to train on. [default: all]")] = None,
    validation_split: Annotated[
        Path | None, typer.Option(help="CSV of those to validate on, in --validate or, without it, in the folders.")
    ] = None,
    test_split: Annotated[Path | None, typer.Option(help="CSV of those that the other two must not hold.")] = None,
    array_interval: Annotated[
        float | None,
        typer.Option(help="Picoseconds between frames of prepared arrays, NAME.npy, which are read instead of XTC."),
    ] = None,
    array_suffix: Annotated[str, typer.Option(help="Of prepared arrays, such as _i100 of NAME_i100.npy.")] = "",
    validate: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of held-out peptides: the weights are kept that generate best for them."),
    ] = None,
    validate_every: Annotated[int, typer.Option(min=1, help="Steps.")] = 500,
    patience: Annotated[int, typer.Option(min=0, help="Validations without gain until it stops; 0 never.")] = 0,
    init: Annotated[str | None, typer.Option(help="Weights to begin from, by name or path, where they fit.")] = None,
    fine_tune: Annotated[
        str | None,
        typer.Option(help="Weights, by name or path, to fit further to the trajectories, whose last part is held out."),
    ] = None,
    hold_out: Annotated[float, typer.Option(help="Share of each trajectory held out in fine-tuning.")] = 0.3,
    steps: Annotated[int, typer.Option(min=1, help="In fine-tuning 300 by default.")] = 10_000,
    hours: Annotated[float | None, typer.Option(help="Stop after this wall time and write the weights so far.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows a step, over all devices; in fine-tuning 16.")] = 32,
    frames: Annotated[int, typer.Option(min=2, help="Of a window, the known ones included.")] = 50,
    frame_interval: Annotated[float, typer.Option(help="Picoseconds between frames.")] = 10.0,
    max_residues: Annotated[
        int | None, typer.Option(min=2, help="Of longer chains, stretches of so many. [default: whole chains]")
    ] = None,
    time_reversal: Annotated[bool, typer.Option(help="Turn half of the windows round.")] = True,
    learning_rate: Annotated[float, typer.Option(help="In fine-tuning 0.0001 by default.")] = 1e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps until the learning rate is reached.")] = 200,
    width: Annotated[int, typer.Option(help="Of the network.")] = 96,
    layers: Annotated[int, typer.Option(min=1)] = 4,
    heads: Annotated[int, typer.Option(min=1)] = 6,
    time_mixer: Annotated[
        str, typer.Option(help="What mixes frames: attention, hyena or bidirectional_hyena.")
    ] = "attention",
    seed: Annotated[int, typer.Option()] = 0,
    save_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 100,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or gpu.")] = "auto",
    devices: Annotated[int, typer.Option(min=1, help="On each node; they share every batch.")] = 1,
    nodes: Annotated[int, typer.Option(min=1)] = 1,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Train a model on trajectories of peptides or proteins."""
    try:
        from openmm_mdgen import training
    except ModuleNotFoundError as error:
        raise MDGenError(f"training needs {error.name}: pip install 'openmm_mdgen[train]'") from error
    from openmm_mdgen.data import read_sequences
    from openmm_mdgen.model.checkpoints import ModelInfo

    excluded = frozenset().union(*(read_sequences(path) for path in exclude or []))
    splits = _splits(split, validation_split, test_split, excluded)
    to_train_on = None if splits is None else splits.train
    source = _Source(array_interval, array_suffix)
    text = "" if config is None else config.read_text(encoding="utf-8")
    if fine_tune is not None:
        given = _given(context)
        fixed = sorted(set(given) & _NOT_IN_FINE_TUNING)
        if fixed:
            listed = ", ".join("--" + option.replace("_", "-") for option in fixed)
            raise MDGenError(f"{listed}: fine-tuning takes the weights as they are; leave these out")
        passed = ("name", "temperature", "force_field", "steps", "batch_size", "learning_rate", "seed", "accelerator")
        training.require_writable(out)
        tuned = training.fine_tune(
            source.read(folders, to_train_on, excluded),
            out,
            fine_tune,
            held_out=hold_out,
            hours=hours,
            save_every=save_every,
            progress=progress,
            **{option: given[option] for option in passed if option in given},
        )
        floor = "not defined" if tuned.floor is None else f"{tuned.floor:.3f}"
        typer.echo(
            f"{tuned.figure}, held-out part: {tuned.before:.3f} before, {tuned.after:.3f} after; "
            f"real MD against itself: {floor}\nweights in {tuned.weights}"
        )
        return
    settings = training.TrainingConfig(
        task=task,
        factor=factor,
        designed=tuple(residue - 1 for residue in designed or (2, 3)),
        steps=steps,
        batch_size=batch_size,
        n_frames=frames,
        frame_interval=frame_interval,
        max_residues=max_residues,
        time_reversal=time_reversal,
        learning_rate=learning_rate,
        warmup_steps=warmup,
        width=width,
        n_layers=layers,
        n_heads=heads,
        time_mixer=time_mixer,
        validate_every=validate_every,
        patience=patience,
        seed=seed,
    )
    training.require_writable(out)
    about = {"training": {"config": text}} if text else {}
    info = ModelInfo(name or task, frames, frame_interval, temperature, force_field, about=about)
    recordings = source.read(folders, to_train_on, excluded)
    validated = None if splits is None else splits.validation or None
    weights = training.train(
        recordings,
        out,
        settings,
        info,
        validation=source.read(validate or folders, validated) if validate or validated else (),
        init=init,
        devices=training.Devices(accelerator, devices, nodes),
        hours=hours,
        save_every=save_every,
        progress=progress,
    )
    typer.echo(f"{len(recordings)} trajectories; weights in {weights}")


def _given(context: typer.Context) -> dict[str, Any]:
    """Options that the command line or the YAML file states."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {name: context.params[name] for name, s in sources.items() if s is not None and s.name != "DEFAULT"}
