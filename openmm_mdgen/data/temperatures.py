"""At which temperature recordings were made: a file in their folder states it, or whoever reads them. Kelvin."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from openmm_mdgen.data.recordings import Recording
from openmm_mdgen.errors import DataError
from openmm_mdgen.files import PROTOCOL_FILE


def stated_temperature(folders: Iterable[Path]) -> float | None:
    """The temperature that the first ``protocol.json`` in some folders states.

    Parameters
    ----------
    folders : iterable of Path

    Returns
    -------
    float or None
        K; None where no such file is there, or none has the key ``"temperature"``.

    Raises
    ------
    DataError
        If a file is not JSON, or what it states is no temperature.
    """
    for path in (folder / PROTOCOL_FILE for folder in folders):
        if not path.is_file():
            continue
        try:
            stated = json.loads(path.read_text(encoding="utf-8")).get("temperature")
        except (ValueError, AttributeError) as error:
            raise DataError(f"{path} is no JSON object: {error}. Remove it, or make it again.") from error
        if stated is None:
            continue
        if isinstance(stated, bool) or not isinstance(stated, int | float) or not 0 < stated < math.inf:
            raise DataError(f"{path}: temperature {stated!r} has to be a number of kelvin above 0")
        return float(stated)
    return None


def with_temperatures(recordings: Iterable[Recording], otherwise: float) -> list[Recording]:
    """Recordings that all have a temperature: their own, or that of those which do not state it, in K."""
    return [r if r.temperature is not None else replace(r, temperature=otherwise) for r in recordings]


def durations(recordings: Sequence[Recording]) -> dict[float, float]:
    """Picoseconds of MD at each temperature in K, from the lowest to the highest; those without one are left out."""
    found: dict[float, float] = defaultdict(float)
    for recording in recordings:
        if recording.temperature is not None:
            found[recording.temperature] += recording.duration
    return dict(sorted(found.items()))
