"""The words of a command line before they are read: what older spellings and slips of the hand mean."""

from __future__ import annotations

import math
import re
from collections.abc import Container
from typing import Any

from typer.core import TyperGroup

from openmm_mdgen.errors import MDGenError

_NUMBER, _UNITS = re.compile(r"[\d.]+"), ("fs", "ps", "ns", "us", "µs", "μs")
_JSON, _PRINTED = "--json", "-"


def mended(words: list[str], *, needs_argument: bool = False, names: Container[str] = ()) -> list[str]:
    """The words of one command.

    ``--json`` without a file means ``--json -``, which prints.

    Parameters
    ----------
    words : list of str
    needs_argument : bool
        Whether the command needs a word that is no option, such as the file that ``info`` tells of.
    names : container of str
        Of commands that may follow.

    Raises
    ------
    MDGenError
        If a number and its unit are two words, of which the second would be taken for something else.
    """
    for option, number, unit in zip(words, words[1:], words[2:], strict=False):
        if option.startswith("--") and _NUMBER.fullmatch(number) and unit in _UNITS:
            raise MDGenError(f"{option} {number} {unit}: write it as one word, {option} {number}{unit}")
    if _JSON not in words:
        return words
    place = words.index(_JSON) + 1
    following = words[place] if place < len(words) else "--"
    is_no_file = following in names or (following.startswith("-") and following != _PRINTED)
    rest = [word for k, word in enumerate(words) if k != place and not word.startswith("-")]
    return [*words[:place], _PRINTED, *words[place:]] if is_no_file or (needs_argument and not rest) else words


def require_finite(values: dict[str, Any]) -> None:
    """Raise `MDGenError` if the value of an option is infinite, or no number at all."""
    for name, value in values.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise MDGenError(f"--{name.replace('_', '-')} {value:g}: give a finite number")


class GroupOfCommands(TyperGroup):
    """A command with commands of its own, which also does something by itself."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words up to the name of a command."""
        return super().parse_args(ctx, mended(args, names=self.commands))
