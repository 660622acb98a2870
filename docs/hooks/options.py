"""Writes the table of all options into the page that has the marker, from the declarations of the commands themselves.

MkDocs calls `on_page_markdown` while it builds the site.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

_ARGUMENTS = "Arguments"
MARKER = "<!-- options of all commands -->"
_HEAD = "| {} | what it does |\n|---|---|\n"


def on_page_markdown(markdown: str, **about: Any) -> str:
    """The page, with the tables in place of the marker."""
    return (
        markdown.replace(MARKER, f'<div class="options" markdown>\n\n{options_in_markdown()}\n\n</div>')
        if MARKER in markdown
        else markdown
    )


def options_in_markdown() -> str:
    """A heading and a table for each command of ``openmm-mdgen``."""
    from openmm_mdgen.commands.main import app

    main = typer.main.get_command(app)
    context = typer.Context(main, info_name="openmm-mdgen")
    every = [(main, context), *_commands(main, context)]
    return "\n\n".join(_section(command, context) for command, context in every)


def _commands(group: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """Commands that do something, with what is around them, in the order of their names."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = typer.Context(command, info_name=name, parent=context)
        yield command, inner
        if hasattr(command, "list_commands"):
            yield from _commands(command, inner)


def _section(command: Any, context: Any) -> str:
    lines = [f"## {context.command_path}", " ".join(_paragraphs(command.help)[:1])]
    for heading, rows in _groups(command, context).items():
        kind = "argument" if heading == _ARGUMENTS else "option"
        lines += [f"**{heading}**", _HEAD.format(kind) + "\n".join(f"| {name} | {told} |" for name, told in rows)]
    return "\n\n".join(lines)


def _groups(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    """Rows under the headings that ``--help`` has too."""
    from openmm_mdgen.commands.from_settings import help_record

    choices = getattr(command.callback, "choices", {})
    groups: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = help_record(parameter, context)
        if record is None or parameter.name == "help":
            continue
        names, told = record[0], _cell(record[1])
        if parameter.name in choices:
            told += f" Choices: {', '.join(choices[parameter.name]())}."
        is_argument = parameter.param_type_name == "argument"
        heading = getattr(parameter, "rich_help_panel", None) or (_ARGUMENTS if is_argument else "Options")
        groups.setdefault(heading, []).append((f"`{names}`", told))
    return groups


def _paragraphs(text: str | None) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", (text or "").strip())]


def _cell(text: str) -> str:
    """Text as it may stand in a cell of a table, where brackets would begin a link."""
    plain = " ".join(text.split())
    return re.sub(r"[][<>|]", lambda match: f"&#{ord(match[0])};", plain)
