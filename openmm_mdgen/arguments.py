"""Numbers, choices and objects that a script gives: plain numbers, or quantities of OpenMM, pint and their like.

Each function returns what it was given in its plain form, or raises `MDGenError` with the argument's name.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from openmm_mdgen.errors import MDGenError, MissingPackageError

# Kinds of quantities and how their units are told, for messages.
_KINDS = {"nanometer": "length", "picosecond": "time", "kelvin": "temperature", "1/picosecond": "rate"}
_TOLD = {"": "", "1/picosecond": " in 1/ps"}


def require_package(module: str, message: str) -> None:
    """Raise `MissingPackageError` unless an optional package is installed: to be called before any work that needs it.

    Parameters
    ----------
    module : str
        What is imported of it.
    message : str
        What needs it, and the line that installs it.
    """
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # the package of a module within it
        found = None
    if found is None:
        raise MissingPackageError(message)


def valid_count(name: str, value: Any, *, least: int = 1) -> int:
    """A whole number, at least 1 or another smallest one.

    Raises
    ------
    MDGenError
        If it is less, or a fraction, a truth value, or no number.
    """
    number = whole(value)
    if number is None:
        raise MDGenError(f"{name} is {value!r}: give a whole number such as 100")
    if number < least:
        raise MDGenError(f"{name} {number}: ask for at least {'one' if least == 1 else least}")
    return number


def whole(value: Any) -> int | None:
    """The value as an int; None where it is not of a type of whole numbers. Truth values are none."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def positive(name: str, value: Any, unit: str = "") -> float:
    """A finite number above zero, in a unit if one is named.

    Parameters
    ----------
    name : str
        Of the argument.
    value : quantity or float
        Plain numbers are in `unit`.
    unit : {"nanometer", "picosecond", "kelvin", "1/picosecond"}, optional
        Default: a number without a unit.

    Raises
    ------
    MDGenError
        If it is none, or a quantity of another kind.
    """
    number = _number(name, value, unit)
    if number is None or not number > 0:
        raise MDGenError(f"{name} is {value!r}: give a number above 0{_told(unit)}")
    return number


def not_negative(name: str, value: Any, unit: str = "") -> float:
    """A finite number that is not below zero; parameters as of `positive`."""
    number = _number(name, value, unit)
    if number is None or number < 0:
        raise MDGenError(f"{name} is {value!r}: give a number from 0 on{_told(unit)}")
    return number


def between(name: str, value: Any, low: float, high: float) -> float:
    """A number from the lowest to the highest that is allowed."""
    number = _number(name, value, "")
    if number is None or not low <= number <= high:
        most = "on" if high == math.inf else f"to {high:.12g}"
        raise MDGenError(f"{name} is {value!r}: give a number from {low:g} {most}")
    return number


def valid_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """One of the names that are allowed."""
    allowed = tuple(choices)
    if value not in allowed:
        raise MDGenError(f"{name} is {value!r}: take {' or '.join(map(repr, allowed))}")
    return value


def require(name: str, value: Any, is_right: bool, instead: str) -> None:
    """Raise `MDGenError` unless an object is of the kind that an argument takes; `instead` says what to give."""
    if not is_right:
        raise MDGenError(f"{name} is {_shown(value)}: give {instead}")


def require_trajectory(name: str, value: Any) -> None:
    """Raise `MDGenError` unless an object has the frames and the topology of an mdtraj trajectory."""
    is_right = all(hasattr(value, member) for member in ("xyz", "topology", "n_frames"))
    require(name, value, is_right, "an mdtraj.Trajectory, such as mdtraj.load(file, top=pdb)")


def is_quantity(value: Any) -> bool:
    """Whether a value is a quantity of OpenMM or pint, or of a package that is built on them."""
    return hasattr(value, "value_in_unit") or hasattr(value, "m_as")


def in_unit(name: str, quantity: Any, unit: str) -> Any:
    """The numbers of a quantity in a unit.

    Raises
    ------
    MDGenError
        If it is a quantity of another kind.
    """
    try:
        if hasattr(quantity, "m_as"):
            return quantity.m_as(unit)
        units = import_module(type(quantity).__module__.rpartition(".")[0])  # of the package that the quantity is of
        own = getattr(units, unit.removeprefix("1/"))
        return quantity.value_in_unit(own**-1 if unit.startswith("1/") else own)
    except Exception as error:  # packages of units raise classes of their own
        own = getattr(quantity, "unit", None) or getattr(quantity, "units", "?")
        raise MDGenError(f"{name} given in the unit {own}, which is no {_KINDS[unit]}") from error


def _number(name: str, value: Any, unit: str) -> float | None:
    """A finite number; None where it is none."""
    number = in_unit(name, value, unit) if unit and is_quantity(value) else value
    if isinstance(number, bool | np.bool_ | str) or is_quantity(number):
        return None
    try:
        return float(number) if math.isfinite(number) else None
    except (TypeError, ValueError, OverflowError):
        return None


def _told(unit: str) -> str:
    return _TOLD.get(unit, f" in {unit}s, or a quantity of {_KINDS.get(unit)}")


def _shown(value: Any) -> str:
    """A short value as it is written, a class by its name, of any other object its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
