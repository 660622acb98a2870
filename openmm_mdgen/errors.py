"""Everything the package raises on bad input, one class per kind of mistake.

All of them are `MDGenError` and `ValueError`, and each message says what to do.
"""


class MDGenError(ValueError):
    """Base of the package's errors."""


class MissingPackageError(MDGenError, ImportError):
    """An optional package that is not installed; the message has the line that installs it."""


class UnsupportedTopologyError(MDGenError):
    """The topology is not one the model can take; names chain, residue and atom."""


class UnsupportedSystemError(MDGenError):
    """A System with something that generated frames cannot honour, such as atoms of mass zero; names atoms or force."""


class CheckpointError(MDGenError):
    """Weights or a restart file that is missing, damaged, or made for another task, molecule or device."""


class ReportIntervalError(MDGenError):
    """A step or report that does not fall on a generated frame."""


class StateError(MDGenError):
    """Positions that are unset or not finite."""


class BusyError(MDGenError):
    """Files that another process is writing."""


class LandingError(MDGenError):
    """Real MD cannot go on from a generated frame."""


class GenerationError(MDGenError):
    """A generated segment that cannot be used, such as one with values that are not finite."""


class DataError(MDGenError):
    """A trajectory, an array or a list of sequences that cannot be trained on; names the file."""
