"""Rows of wrong inputs: what is called, what it raises, and what the message says of cause and cure."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from openmm_mdgen.errors import MDGenError

NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """A call that is refused.

    Parameters
    ----------
    name : str
        Of the test.
    call : callable
        Takes what the rows of a file share.
    cause, cure : str
        Parts of the message.
    error : type
        Class that is raised.
    """

    name: str
    call: Callable[[SimpleNamespace], object]
    cause: str
    cure: str
    error: type[Exception] = MDGenError


def without(module, call):
    """What a call gives or raises where a package is not installed."""
    with patch.dict(sys.modules, {module: None}):
        return call()


def table(*rows):
    """Parametrises a test with rows, given as `Row`'s parameters."""
    made = [Row(*row) for row in rows]
    assert len({row.name for row in made}) == len(made), "two rows have one name"
    return pytest.mark.parametrize("row", made, ids=lambda row: row.name)


def require_refused(row, given):
    """The call raises the class, or one below it, and a message of one line that names cause and cure."""
    with pytest.raises(row.error) as caught:
        row.call(given)
    said = str(caught.value)
    assert issubclass(row.error, MDGenError) and "\n" not in said
    assert row.cause in said, said
    assert row.cure in said, said
