"""Options of a command made from dataclasses of settings, so that each is declared in one place (see `settings`)."""

from __future__ import annotations

import difflib
import inspect
import re
import types
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from openmm_mdgen.commands.recording import OPTIONS
from openmm_mdgen.commands.terminal import parse_time
from openmm_mdgen.commands.words import mended, require_finite
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.settings import Setting, settings_of


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field, in place of every parameter that is a dataclass of settings.

    Other parameters stay as they are. Choices of an option are told in the help by `GroupedCommand`, which finds them
    as the attribute ``choices`` of the function.
    """
    given = inspect.signature(command, eval_str=True).parameters
    kinds: dict[str, type] = {
        name: p.annotation for name, p in given.items() if isinstance(p.annotation, type) and is_dataclass(p.annotation)
    }

    def call(**values: Any) -> None:
        made = {name: _made(kind, values) for name, kind in kinds.items()}
        command(**{name: values[name] for name in given if name not in kinds}, **made)

    parameters: list[inspect.Parameter] = []
    for name, parameter in given.items():
        if name in kinds:
            parameters += _options(kinds[name])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    result = wraps(command)(call)
    del result.__wrapped__  # its signature is not this one's
    result.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    result.__annotations__ = {p.name: p.annotation for p in parameters}
    result.choices = {  # type: ignore[attr-defined]
        about.option or name: about.choices
        for kind in kinds.values()
        for name, about in settings_of(kind).items()
        if about.choices is not None
    }
    return result


class GroupedCommand(TyperCommand):
    """A command whose help lists its options under the headings that they name as ``rich_help_panel``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words, after what `words.mended` makes of them."""
        needs = any(parameter.param_type_name == "argument" and parameter.required for parameter in self.params)
        return super().parse_args(ctx, mended(args, needs_argument=needs))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; its manifest states the options."""
        require_finite(ctx.params)
        OPTIONS.set(dict(ctx.params))
        return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        choices = getattr(self.callback, "choices", {})
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if parameter.name in choices:
                names = ", ".join(choices[parameter.name]())
                setattr(parameter, "help", f"{vars(parameter)['help']} Choices: {names}.")  # noqa: B010
            record = help_record(parameter, ctx)
            if record is not None:
                heading = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or heading, []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def help_record(parameter: Any, context: Any) -> tuple[str, str] | None:
    """Names of an option with the kind of its value, and its help with default and range, in words."""
    record = parameter.get_help_record(context)
    if record is None:
        return None
    names, told = record
    names = re.sub(r"<list\[(\w+)\]>", r"<\1>", re.sub(r"<(\w+) range>", r"<\1>", names))
    told = re.sub(r"([\d.]+)<=x<=([\d.]+)\]", r"from \1 to \2]", told)
    return names, re.sub(r"x>=(\d+)(?:\.0)?\]", r"at least \1]", told)


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Callback of ``--config``: the values of a YAML file become the defaults of this call.

    Raises
    ------
    MDGenError
        If the file cannot be read, or names an option that there is not.
    """
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


def _options(kind: type) -> list[inspect.Parameter]:
    hints = get_type_hints(kind)
    about = settings_of(kind)
    return [_option(f.name, hints[f.name], f.default, about[f.name]) for f in fields(kind)]


def _option(name: str, hint: Any, default: Any, about: Setting) -> inspect.Parameter:
    whole = _without_none(hint) is int
    repeated = get_origin(hint) is tuple
    if repeated:
        whole = get_args(hint)[0] is int
        hint, default = list[get_args(hint)[0]] | None, None  # type: ignore[misc]
    limits = [limit if limit is None or not whole else int(limit) for limit in (about.minimum, about.maximum)]
    shown = about.shown_default
    if about.is_time:
        hint = str | None
        shown, default = shown or (None if default is None else f"{default:g}ps"), None
    option = typer.Option(
        help=about.help, min=limits[0], max=limits[1], show_default=shown or True, rich_help_panel=about.group
    )
    return inspect.Parameter(
        about.option or name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, option]
    )


def _without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    return next(part for part in get_args(hint) if part is not type(None))


def _made(kind: type, values: dict[str, Any]) -> Any:
    """The settings from the values of their options; a list that was not given leaves the default."""
    made: dict[str, Any] = {}
    for name, about in settings_of(kind).items():
        value = values[about.option or name]
        if about.is_time and value is not None:
            value = parse_time(f"--{(about.option or name).replace('_', '-')}", value, bare_is_ps=True)
        if isinstance(value, (list, tuple)):
            value = about.from_option(value) if about.from_option else tuple(value)
        if value is not None and value != ():
            made[name] = value
    return kind(**made)


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        callback=read_config,
        is_eager=True,
        help="YAML file of options by their long names; options on the command line take precedence over it.",
    ),
]
