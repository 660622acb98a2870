"""Settings that are declared once: a field of a dataclass carries the text, the limits and the choices of its option.

The class's documentation (`documented`) and the options of a command (`commands.from_settings`) are made from them.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from openmm_mdgen.arguments import between, is_quantity, positive
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
    is_time: bool = False
    maximum: float | None = None
    above_zero: bool = False


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
    is_time: bool = False,
    maximum: float | None = None,
    above_zero: bool = False,
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
    is_time : bool
        Whether the field is a physical time in picoseconds, above zero, of which the option takes other units too.
    maximum : float, optional
        Largest value.
    above_zero : bool
        Whether the value is a number that is not zero either.
    """
    about = Setting(help, option, group, minimum, choices, from_option, shown_default, is_time, maximum, above_zero)
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


def require_valid(settings: Any) -> None:
    """Raise `MDGenError` if a setting has a value that it does not take; one without value is left alone.

    A quantity of time becomes its number of picoseconds.
    """
    for name, about in settings_of(type(settings)).items():
        value = getattr(settings, name)
        if value is None:
            continue
        allowed = () if about.choices is None else tuple(about.choices())
        if allowed and value not in allowed:
            raise MDGenError(f"{about.option or name} {value!r} is not one of {', '.join(allowed)}")
        if about.is_time:
            number = positive(name, value, "picosecond")
            if is_quantity(value):
                object.__setattr__(settings, name, number)
        elif about.above_zero:
            positive(name, value)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            continue
        elif about.minimum is not None or about.maximum is not None:
            between(name, value, about.minimum or 0.0, math.inf if about.maximum is None else about.maximum)
