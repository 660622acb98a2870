"""Real MD as training data: recordings in folders, splits of them, and windows cut from them."""

from openmm_mdgen.data.layouts import read_folders
from openmm_mdgen.data.recordings import Recording, read_recording
from openmm_mdgen.data.splits import read_sequences
from openmm_mdgen.data.windows import Windows, superposed

__all__ = ["Recording", "Windows", "read_folders", "read_recording", "read_sequences", "superposed"]
