"""Training data from real MD: recordings in folders, lists of sequences, and windows cut from recordings."""

from openmm_mdgen.data.layouts import read_arrays, read_folders, read_recording
from openmm_mdgen.data.recordings import Recording
from openmm_mdgen.data.splits import Splits, check_leaks, held_out_sequences, read_sequences, read_split
from openmm_mdgen.data.temperatures import durations, stated_temperature, with_temperatures
from openmm_mdgen.data.windows import Windows, superposed

__all__ = [
    "Recording",
    "Splits",
    "Windows",
    "check_leaks",
    "durations",
    "held_out_sequences",
    "read_arrays",
    "read_folders",
    "read_recording",
    "read_sequences",
    "read_split",
    "stated_temperature",
    "superposed",
    "with_temperatures",
]
