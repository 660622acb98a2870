"""On what a generator runs, as far as its numbers depend on it."""

from __future__ import annotations

from typing import Any

from openmm_mdgen import threads
from openmm_mdgen.manifest import this_machine
from openmm_mdgen.protocol import Generator


def machine_of(generator: Generator) -> dict[str, Any]:
    """System and processor; where the generator says so, its device and precision; the number of threads allowed."""
    inner = getattr(generator, "generator", generator)
    said = {name: getattr(inner, name, None) for name in ("device", "precision")}
    known = {**said, "threads": threads.allowed()}
    return this_machine() | {name: _plain(value) for name, value in known.items() if value is not None}


def weights_of(generator: Generator) -> dict[str, str]:
    """Name and checksum of a generator's weights; of one that has neither, the name of its class."""
    name, checksum = getattr(generator, "name", ""), getattr(generator, "checksum", "")
    return {"name": name or type(generator).__name__} | ({"sha256": checksum} if checksum else {})


def conditions_of(generator: Generator) -> dict[str, Any]:
    """Temperature and force field that a generator was trained for, and the time between its frames in ps."""
    said = {"temperature": generator.temperature, "frame_interval": generator.frame_interval}
    return said | {"force_field": getattr(generator, "force_field", "") or None}


def known_of(generator: Generator) -> dict[str, Any]:
    """All that a manifest states of a generator, by the fields of `Manifest`."""
    return {
        "weights": weights_of(generator),
        "machine": machine_of(generator),
        "conditions": conditions_of(generator),
    }


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What is not as it was, a phrase for each, such as ``"torch 2.9.0, now 2.13.0"``."""
    return [f"{name} {before[name]}, now {now.get(name, 'none')}" for name in before if before[name] != now.get(name)]


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float) else str(value)
