"""At which temperatures a run's MD was made, and which the weights are to know. Kelvin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from openmm_mdgen.data import Recording, durations
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.model.checkpoints import ModelInfo

_ALIKE = 1.0  # K: MD at 298 and 298.15 K is of one temperature


def informed(info: ModelInfo, recordings: Sequence[Recording], *, is_told: bool) -> ModelInfo:
    """What weights say of the temperatures of their training data.

    Parameters
    ----------
    info : ModelInfo
        Its temperature stays, if the network is told temperatures and this is one of them.
    recordings : sequence of Recording
        All with a temperature.
    is_told : bool
        Whether the network is told the temperature.

    Returns
    -------
    ModelInfo
        With the temperature of most of the MD, and all temperatures if the network is told them.
    """
    found = durations(recordings)
    most = max(found, key=lambda kelvin: found[kelvin])
    if not is_told:
        return replace(info, temperature=most, temperatures=None)
    return replace(info, temperature=info.temperature if info.temperature in found else most, temperatures=tuple(found))


def require_one(recordings: Sequence[Recording]) -> None:
    """Raise `MDGenError` if recordings are of several temperatures, for a network that is not told which."""
    found = list(durations(recordings))
    if found[-1] - found[0] <= _ALIKE:
        return
    shown = [next(r.name for r in recordings if r.temperature == kelvin) for kelvin in (found[0], found[-1])]
    raise MDGenError(
        f"the MD is of several temperatures ({shown[0]} of {found[0]:g} K, {shown[1]} of {found[-1]:g} K), and the "
        "network would not be told which: train a new model with --tell-temperature, or give MD of one temperature"
    )
