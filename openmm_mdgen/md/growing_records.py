"""Trajectory files whose frames are records of one size, so that any number of them can be cut off: NetCDF and TRR.

NetCDF files follow AMBER's convention (1.0, revision C; ambermd.org/netcdf/nctraj.xhtml), in which lengths are in
ångström; TRR files are GROMACS's, in nanometre. All numbers are big-endian.
"""

from __future__ import annotations

import io
import os
import struct
from abc import abstractmethod

import numpy as np
from openmm import app, unit
from openmm.app.internal.unitcell import computeLengthsAndAngles
from scipy.io import netcdf_file

from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.manifest import versions
from openmm_mdgen.md.growing import GrowingOpen

_NETCDF_COUNT = 4  # place of the number of frames
_TRR_MAGIC, _TRR_VERSION = 1993, b"GMX_trn_file"


class GrowingRecords(GrowingOpen):
    """A file of a head and one record a frame."""

    @abstractmethod
    def _head(self) -> bytes:
        """What comes before the records."""

    @abstractmethod
    def _record(self) -> np.ndarray:
        """An array of one record, filled but for what differs between frames."""

    @abstractmethod
    def _fill(self, frame: np.ndarray) -> None:
        """Put a frame into `self._filled`."""

    def _open(self) -> None:
        goes_on = self._whole.size > 0
        self._filled = self._record()
        self._file = open(self.path, "r+b" if goes_on else "w+b")
        if not goes_on:
            self._file.write(self._head())
        self._count(self._n_frames)

    def _write(self, frame: np.ndarray) -> None:
        self._fill(frame)
        self._file.write(self._filled.tobytes())
        self._file.flush()

    def _flushed(self) -> int:
        self._file.flush()  # frames, before the head counts them
        self._count(self._n_frames)
        return super()._flushed()

    def _cut(self, n_frames: int) -> None:
        if self._whole.size:
            with open(self.path, "r+b") as self._file:
                self._count(n_frames)

    def _count(self, n_frames: int) -> None:
        """Tell the number of frames, where the head holds it; the file is left at its end."""
        self._file.seek(0, os.SEEK_END)


class GrowingNetCDF(GrowingRecords):
    """A NetCDF file of AMBER's convention, with the periodic cell of the topology."""

    def _head(self) -> bytes:
        """That of a file of one frame, without the frame."""
        whole = _netcdf(self.topology.getNumAtoms(), has_cell=_box(self.topology) is not None)
        return whole[: len(whole) - self._filled.nbytes]

    def _record(self) -> np.ndarray:
        fields: list[tuple] = [("time", ">f4"), ("coordinates", ">f4", (self.topology.getNumAtoms(), 3))]
        box = _box(self.topology)
        if box is not None:
            fields += [("cell_lengths", ">f8", 3), ("cell_angles", ">f8", 3)]
        record = np.zeros(1, fields)
        if box is not None:
            cell = np.array(computeLengthsAndAngles(box * unit.nanometer))
            record["cell_lengths"], record["cell_angles"] = to_angstrom(cell[:3]), np.rad2deg(cell[3:])
        return record

    def _fill(self, frame: np.ndarray) -> None:
        self._filled["time"] = self.time
        self._filled["coordinates"] = to_angstrom(np.asarray(frame, np.float64))

    def _count(self, n_frames: int) -> None:
        self._file.seek(_NETCDF_COUNT)
        self._file.write(struct.pack(">i", n_frames))
        self._file.seek(0, os.SEEK_END)


class GrowingTRR(GrowingRecords):
    """A TRR file of positions in single precision, with the periodic box of the topology."""

    def _head(self) -> bytes:
        return b""

    def _record(self) -> np.ndarray:
        n_atoms, box = self.topology.getNumAtoms(), _box(self.topology)
        sizes = ["ir", "e", "box", "vir", "pres", "top", "sym", "x", "v", "f"]
        numbers = ["magic", "length", "text_length"]
        fields: list[tuple] = [(name, ">i4") for name in numbers] + [("text", "S12")]
        fields += [(f"{name}_size", ">i4") for name in sizes]
        fields += [(name, ">i4") for name in ("n_atoms", "step", "nre")] + [("time", ">f4"), ("lambda", ">f4")]
        record = np.zeros(1, [*fields, ("box", ">f4", (3, 3)), ("x", ">f4", (n_atoms, 3))])
        record["magic"], record["text"] = _TRR_MAGIC, _TRR_VERSION
        record["length"], record["text_length"] = len(_TRR_VERSION) + 1, len(_TRR_VERSION)
        record["n_atoms"], record["x_size"], record["box_size"] = n_atoms, record["x"].nbytes, record["box"].nbytes
        record["box"] = 0 if box is None else box  # where it is left out, mdtraj 1.11 shows what its memory held
        return record

    def _fill(self, frame: np.ndarray) -> None:
        self._filled["time"], self._filled["x"] = self.time, frame
        self._filled["step"] = min(self.timing.first + self._n_frames * self.timing.interval, np.iinfo(np.int32).max)


def _box(topology: app.Topology) -> np.ndarray | None:
    """Box vectors as rows (3, 3), nm."""
    vectors = topology.getPeriodicBoxVectors()
    return None if vectors is None else np.array(vectors.value_in_unit(unit.nanometer))


def _netcdf(n_atoms: int, *, has_cell: bool) -> bytes:
    """A file of one empty frame."""
    buffer = io.BytesIO()
    file = netcdf_file(buffer, "w", version=2)  # offsets of 64 bits, as the convention asks for
    file.title = file.application = file.program = "openmm_mdgen"
    file.programVersion, file.Conventions, file.ConventionVersion = (
        versions().get("openmm_mdgen", "unknown"),
        "AMBER",
        "1.0",
    )
    sizes = {"frame": None, "spatial": 3, "atom": n_atoms}
    labels: dict[str, tuple[tuple[str, ...], list]] = {"spatial": (("spatial",), list("xyz"))}
    variables: list[tuple[str, str, tuple[str, ...], str]] = [("time", "f4", ("frame",), "picosecond")]
    variables += [("coordinates", "f4", ("frame", "atom", "spatial"), "angstrom")]
    if has_cell:
        sizes |= {"cell_spatial": 3, "cell_angular": 3, "label": 5}
        angles = [list(f"{name:5}") for name in ("alpha", "beta", "gamma")]
        labels |= {"cell_spatial": (("cell_spatial",), list("abc"))}
        labels |= {"cell_angular": (("cell_angular", "label"), angles)}
        variables += [("cell_lengths", "f8", ("frame", "cell_spatial"), "angstrom")]
        variables += [("cell_angles", "f8", ("frame", "cell_angular"), "degree")]
    for name, size in sizes.items():
        file.createDimension(name, size)
    for name, (dimensions, text) in labels.items():
        file.createVariable(name, "c", dimensions)[:] = text
    for name, kind, dimensions, units in variables:
        variable = file.createVariable(name, kind, dimensions)
        variable.units = units
        variable[0] = 0
    file.flush()
    return buffer.getvalue()
