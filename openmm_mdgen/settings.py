"""Settings that are declared once: a field of a dataclass carries the text, the limits and the choices of its option.

The class's documentation (`documented`) and the options of a command (`commands.from_settings`) are made from them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from openmm_mdgen.errors import MDGenError

_KEY = "setting"
Kind = TypeVar("Kind", bound=type)


@dataclass(frozen=True)
class Setting:
    """What is known of a field besides its name, type and default; see `setting`."""

    help: str
    option: str | None = None
    group: str | None = None
    minimum: float | None = None
    choices: Callable[[], Iterable[str]] | None = None
    from_option: Callable[[Any], Any] | None = None
    shown_default: str | None = None


def setting(
    default: Any,
    help: str,
    *,
    option: str | None = None,
    group: str | None = None,
    minimum: float | None = None,
    choices: Callable[[], Iterable[str]] | None = None,
    from_option: Callable[[Any], Any] | None = None,
    shown_default: str | None = None,
) -> Any:
    """A field of a dataclass of settings.

    Parameters
    ----------
    default
        The field's default.
    help : str
        What the setting means: a text that can be read without the field's name, with unit and default behaviour.
    option : str, optional
        Name of the command's option where it is not the field's.
    group : str, optional
        Heading in the command's help under which the option stands.
    minimum : float, optional
        Smallest value that the option takes.
    choices : callable, optional
        Called for the names that are allowed, when they are needed: they may be costly to import.
    from_option : callable, optional
        Makes the field's value from the option's.
    shown_default : str, optional
        The default as the help tells it, where it is not the field's.
    """
    about = Setting(help, option, group, minimum, choices, from_option, shown_default)
    return field(default=default, metadata={_KEY: about})


def settings_of(kind: type) -> dict[str, Setting]:
    """The settings of a dataclass by the names of their fields."""
    return {f.name: f.metadata[_KEY] for f in fields(kind) if _KEY in f.metadata}


def documented(kind: Kind) -> Kind:
    """Class decorator: the settings become the section ``Parameters`` of the class's documentation."""
    types = {f.name: f.type for f in fields(kind)}
    lines = ["", "", "Parameters", "----------"]
    for name, about in settings_of(kind).items():
        lines += [
            f"{name} : {types[name]}",
            *textwrap.wrap(about.help, 116, initial_indent="    ", subsequent_indent="    "),
        ]
    indented = [f"    {line}" if line else line for line in lines]
    kind.__doc__ = (kind.__doc__ or "").rstrip() + "\n".join(indented) + "\n    "
    return kind


def require_choices(settings: Any) -> None:
    """Raise `MDGenError` if a setting has a value that is not among its choices; one without value is left alone."""
    for name, about in settings_of(type(settings)).items():
        value = getattr(settings, name)
        if about.choices is None or value is None:
            continue
        allowed = tuple(about.choices())
        if value not in allowed:
            raise MDGenError(f"{about.option or name} {value!r} is not one of {', '.join(allowed)}")
