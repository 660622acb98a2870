"""Numbers that a script gives: counts, and plain numbers or quantities of OpenMM, pint and their like.

Each function returns a plain number, or raises `MDGenError` with the argument's name.
"""

from __future__ import annotations

import math
import operator
from importlib import import_module
from typing import Any

import numpy as np

from openmm_mdgen.errors import MDGenError

_KINDS = {"nanometer": "length", "picosecond": "time", "kelvin": "temperature"}  # kinds of quantities, for messages


def valid_count(name: str, value: Any) -> int:
    """A whole number, at least 1.

    Raises
    ------
    MDGenError
        If it is less, or a fraction, a truth value, or no number.
    """
    number = whole(value)
    if number is None:
        raise MDGenError(f"{name} is {value!r}: give a whole number such as 100")
    if number < 1:
        raise MDGenError(f"{name} {number}: ask for at least one")
    return number


def whole(value: Any) -> int | None:
    """The value as an int; None where it is not of a type of whole numbers. Truth values are none."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def positive(name: str, value: Any, unit: str) -> float:
    """A finite number above zero in a unit.

    Parameters
    ----------
    name : str
        Of the argument.
    value : quantity or float
        Plain numbers are in `unit`.
    unit : {"nanometer", "picosecond", "kelvin"}

    Raises
    ------
    MDGenError
        If it is none, or a quantity of another kind.
    """
    number = in_unit(name, value, unit) if is_quantity(value) else value
    if isinstance(number, bool | np.bool_ | str) or not _is_positive(number):
        raise MDGenError(f"{name} is {value!r}: give a number above 0 in {unit}s, or a quantity of {_KINDS[unit]}")
    return float(number)


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
        return quantity.value_in_unit(getattr(units, unit))
    except Exception as error:  # packages of units raise classes of their own
        own = getattr(quantity, "unit", None) or getattr(quantity, "units", "?")
        raise MDGenError(f"{name} given in the unit {own}, which is no {_KINDS[unit]}") from error


def _is_positive(number: Any) -> bool:
    try:
        return math.isfinite(number) and number > 0
    except (TypeError, ValueError, OverflowError):
        return False
