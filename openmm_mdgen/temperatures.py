"""Ranges of temperatures that weights know: lowest and highest, in kelvin, which are the same where they know one."""

from __future__ import annotations

Range = tuple[float, float]


def in_words(known: Range) -> str:
    """Such as ``"350 K"`` or ``"300 to 350 K"``."""
    low, high = known
    return f"{low:g} K" if low == high else f"{low:g} to {high:g} K"


def nearest(kelvin: float, known: Range) -> float:
    """The temperature of a range that is nearest to another one."""
    low, high = known
    return min(max(kelvin, low), high)
