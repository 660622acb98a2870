"""How many threads of the processor torch takes: by the size of the work, and for that work alone.

Threads of torch that wait for work spin. On a busy machine that makes small networks many times slower, and on an idle
one they gain nothing: small work takes one thread. A number of threads that the user has set, for torch or by the
variable OPENMM_MDGEN_THREADS, is not exceeded, and torch has its own number back when the work is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from openmm_mdgen.errors import MDGenError

VARIABLE = "OPENMM_MDGEN_THREADS"
_WORTH_IT = 200_000_000  # multiplications of one layer, from which several threads are quicker than one

_limit: ContextVar[int | None] = ContextVar("limit", default=None)


def allowed() -> int:
    """The largest number of threads that large work takes: a limit set by `at_most`, the variable, or torch's own.

    Raises
    ------
    MDGenError
        If the variable OPENMM_MDGEN_THREADS is no positive whole number.
    """
    limit = _limit.get()
    if limit is not None:
        return limit
    said = os.environ.get(VARIABLE)
    if not said:
        return torch.get_num_threads()
    if not said.isdecimal() or int(said) < 1:
        raise MDGenError(f"{VARIABLE} is {said!r}: set it to a number of threads such as 4, or unset it")
    return int(said)


def number_for(multiplications: float) -> int:
    """Threads for work whose largest layers take so many multiplications."""
    return allowed() if multiplications >= _WORTH_IT else 1


@contextmanager
def at_most(number: int | None) -> Iterator[None]:
    """Let large work in this block take so many threads; None leaves the limit as it is."""
    if number is None:
        yield
        return
    token = _limit.set(number)
    try:
        yield
    finally:
        _limit.reset(token)


@contextmanager
def taken_for(multiplications: float) -> Iterator[None]:
    """Give torch the threads for some work in this block, and its own number back at the end."""
    before, wanted = torch.get_num_threads(), number_for(multiplications)
    if wanted == before:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)
