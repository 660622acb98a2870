"""``openmm-mdgen doctor``: what of the installation works, and the line that mends what does not."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from openmm_mdgen.commands.options import Force, Json
from openmm_mdgen.commands.outputs import check_outputs, teller, write_numbers
from openmm_mdgen.commands.terminal import line_width

if TYPE_CHECKING:
    from openmm_mdgen.commands.installation import Check

_WIDTH, _INDENT = 80, 36
_WORDS = {True: "works", None: "-", False: "FAILS"}


def doctor(
    json: Json = None,
    force: Force = False,
) -> None:
    """Try each part of the installation by a little real work, and tell what is missing and the line that installs it.

    Exit code 1 says that something fails without which the package is of no use.
    """
    check_outputs([("--json", json)], force=force)

    from openmm_mdgen.commands.installation import checks

    done: list[Check] = []
    say = teller(json)
    for check in checks():
        if not done or check.group != done[-1].group:
            say(("\n" if done else "") + check.group)
        say("\n".join(_lines(check)))
        done.append(check)
    failing = [check for check in done if check.is_needed and not check.works]
    say("\n" + "\n".join(_verdict(failing)))
    write_numbers(json, {"works": not failing, "checks": [asdict(check) for check in done]})
    if failing:
        raise typer.Exit(1)


def _lines(check: Check) -> list[str]:
    told = [] if check.value is None else [str(check.value)]
    if check.seconds is not None:
        told.append(f"{1000 * check.seconds:.3g} ms")
    if check.reason:
        told.append(check.reason)
    word = _WORDS[False] if check.is_needed and check.works is None else _WORDS[check.works]
    line = f"  {word:<7}{check.name:<26} {'; '.join(told)}".rstrip()
    return textwrap.wrap(line, line_width(_WIDTH), subsequent_indent=" " * _INDENT, break_on_hyphens=False)


def _verdict(failing: list[Check]) -> list[str]:
    if not failing:
        return ["all that is needed works"]
    names = ", ".join(f"{check.group}: {check.name}" for check in failing)
    return textwrap.wrap(f"needed and does not work: {names}", line_width(_WIDTH))
