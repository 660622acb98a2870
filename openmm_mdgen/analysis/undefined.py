"""Values that do not exist, and why.

A number that cannot be computed is never given as nan or 0: functions raise `UndefinedError`, and an evaluation holds
`NotDefined` in its place, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from openmm_mdgen.errors import MDGenError

T = TypeVar("T")


class UndefinedError(MDGenError):
    """A quantity that has no value for this input; the message says why."""


@dataclass(frozen=True)
class NotDefined:
    """Stands where a value would."""

    why: str

    def __str__(self) -> str:
        return f"not defined: {self.why}"


def attempt(compute: Callable[..., T], *args: object) -> T | NotDefined:
    """What `compute` returns, or why it cannot. An argument that is not defined makes the result so."""
    for value in args:
        if isinstance(value, NotDefined):
            return value
    try:
        return compute(*args)
    except UndefinedError as error:
        return NotDefined(str(error))


def known(value: T | NotDefined) -> T:
    """The value itself; `UndefinedError` with its reason where there is none."""
    if isinstance(value, NotDefined):
        raise UndefinedError(value.why)
    return value
