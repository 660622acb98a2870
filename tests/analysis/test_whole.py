"""Frames that are no conformation as they stand: wrapped into a box, torn, open or broken ones; and times of files."""

import struct
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from openmm_mdgen.analysis import Definitions, NotDefined, TrajectoryFile, evaluate
from openmm_mdgen.analysis.bonds import spanning_tree
from openmm_mdgen.analysis.folders import read_md
from openmm_mdgen.analysis.sources import measure, pieces
from openmm_mdgen.errors import MDGenError, StateError
from structures import peptide
from torsion_walks import place, walk

OPTIONS = {"lagtime": 5.0, "n_clusters": 15, "n_states": 3, "definitions": Definitions.SOUND}


@pytest.fixture(scope="module")
def md():
    return place("VSA", walk(300, 0))


def wrapped(trajectory, lengths, angles=(90.0, 90.0, 90.0), shift=0.3):
    """Each atom by itself in the box that holds it, as GROMACS writes frames."""
    out = mdtraj.Trajectory(trajectory.xyz + shift, trajectory.topology, time=trajectory.time)
    out.unitcell_lengths = np.tile(lengths, (out.n_frames, 1))
    out.unitcell_angles = np.tile(angles, (out.n_frames, 1))
    vectors = out.unitcell_vectors[0].astype(float)
    out.xyz -= np.floor(np.linalg.solve(vectors.T, out.xyz.reshape(-1, 3).T).T).reshape(out.xyz.shape) @ vectors
    return out


@pytest.mark.parametrize(
    "box", [((1.5, 1.5, 1.5), (90, 90, 90)), ((1.6, 1.6, 1.6), (60, 60, 90)), ((1.5, 1.5, 1.5), (70.5, 109.5, 70.5))]
)
@pytest.mark.parametrize("side", ["generated", "reference"])
def test_molecules_that_are_wrapped_are_made_whole(side, box, md):
    torn = wrapped(md, *box)
    bonds = np.array([(a.index, b.index) for a, b in md.topology.bonds])
    assert np.linalg.norm(np.diff(torn.xyz[:, bonds], axis=2), axis=-1).max() > 1
    found, expected = measure(torn), measure(md)
    np.testing.assert_allclose(np.exp(1j * found.torsions.angles), np.exp(1j * expected.torsions.angles), atol=2e-4)
    assert found.geometry.valid == expected.geometry.valid
    for piece in pieces(torn):  # hydrogens too
        assert np.linalg.norm(np.diff(piece.xyz[:, bonds], axis=2), axis=-1).max() < 0.2
    pair = {"generated": md[:150], "reference": md}
    plain = evaluate(**pair, **OPTIONS).jsd
    made = evaluate(**(pair | {side: torn if side == "reference" else torn[:150]}), **OPTIONS).jsd
    assert made.torsions_all == pytest.approx(plain.torsions_all, abs=0.02) and plain.torsions_all > 0.05


def test_frames_that_are_whole_stay_bit_for_bit(md):
    boxed = mdtraj.Trajectory(md.xyz.copy(), md.topology, md.time, np.full((300, 3), 3.0), np.full((300, 3), 90.0))
    for piece in pieces(boxed):
        np.testing.assert_array_equal(piece.xyz, md.xyz)


@pytest.mark.parametrize("dummy", [False, True], ids=["no box", "a dummy box"])
def test_a_molecule_torn_over_an_unknown_box_is_refused(md, dummy, tmp_path):
    torn = wrapped(md, (1.5, 1.5, 1.5))
    torn.unitcell_lengths = np.full((300, 3), 0.1) if dummy else None
    torn.unitcell_angles = torn.unitcell_angles if dummy else None
    first = next(k for k in range(300) if np.ptp(torn.xyz[k], axis=0).max() > 1.2)
    with pytest.raises(
        StateError, match=rf"in frame {first} \(from 0\) the molecule is torn: .* bonded, but .* nm apart"
    ):
        measure(torn)
    torn[0].save_pdb(str(tmp_path / "top.pdb"))
    torn.save_dcd(str(tmp_path / "torn.dcd"))
    with pytest.raises(StateError, match=r"torn\.dcd: in frame .*make it whole first"):
        evaluate(TrajectoryFile(tmp_path / "torn.dcd", tmp_path / "top.pdb"), md)


def test_a_spanning_tree_reaches_every_atom_from_one_that_is_there():
    bonds = [(4, 2), (2, 0), (0, 4), (3, 1), (5, 3)]
    tree = spanning_tree(7, bonds)
    assert len(tree) == 4  # two molecules of five and three atoms, and one atom
    placed = {0, 1, 6}
    for near, new in tree.tolist():
        assert near in placed and new not in placed and ((near, new) in bonds or (new, near) in bonds)
        placed.add(new)
    assert placed == set(range(7))


@pytest.fixture
def bridged():
    """CGGC with its sulfur atoms at 0.205 nm, ten frames."""
    topology, positions = peptide("CGGC")
    frames = mdtraj.Trajectory(np.tile(positions, (10, 1, 1)), mdtraj.Topology.from_openmm(topology))
    first, second = frames.topology.select("name SG")
    kept = [a.index for a in frames.topology.atoms if a.name != "HG"]
    frames.xyz[:, second] = frames.xyz[:, first] + np.array([0.205, 0, 0], dtype=np.float32)
    return frames.atom_slice(kept)


@pytest.mark.parametrize("told", ["by the topology", "by their distance"])
def test_an_open_disulfide_is_a_break(bridged, told):
    if told == "by the topology":
        bridged.topology.add_bond(*(bridged.topology.atom(k) for k in bridged.topology.select("name SG")))
    apart = mdtraj.Trajectory(bridged.xyz.copy(), bridged.topology, time=bridged.time)
    second = bridged.topology.select("name SG")[1]
    apart.xyz[:, second] += np.array([0.3, 0, 0], dtype=np.float32)
    apart.xyz[:4, second] = bridged.xyz[:4, second]
    assert measure(bridged).geometry.without_break == 1
    found = evaluate(apart, bridged, **OPTIONS).validity
    assert found.generated.without_break == 0.4 and found.reference.without_break == 1


def test_a_disulfide_of_a_file_is_known_by_its_length():
    case = Path(__file__).parent.parent / "data" / "cases" / "cggc.pdb"
    closed = mdtraj.load(str(case), standard_names=False)
    opened = mdtraj.Trajectory(closed.xyz.copy(), closed.topology)
    last = [a.index for a in opened.topology.residue(3).atoms if a.name in ("SG", "CB", "HB2", "HB3")]
    opened.xyz[:, last] += np.array([0.2, 0.2, 0], dtype=np.float32)
    found = evaluate(opened, closed).validity
    assert found.reference.without_break == found.reference.without_clash == 1 and found.generated.without_break == 0


def test_a_ring_of_residues_is_broken_where_it_opens():
    """The backbone of four residues on a circle, each atom 0.14 nm from the next."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for number in range(1, 5):
        residue = topology.add_residue("GLY", chain, number)
        for name, element in (
            ("N", mdtraj.element.nitrogen),
            ("CA", mdtraj.element.carbon),
            ("C", mdtraj.element.carbon),
        ):
            topology.add_atom(name, element, residue)
    turns = 2 * np.pi * np.arange(12) / 12
    circle = (
        0.14 / (2 * np.sin(np.pi / 12)) * np.stack([np.cos(turns), np.sin(turns), 0.1 * np.cos(2 * turns)], axis=-1)
    )
    ring = mdtraj.Trajectory(np.tile(circle, (6, 1, 1)), topology)
    opened = mdtraj.Trajectory(ring.xyz.copy(), topology)
    opened.xyz[:3, -1] += np.array([0.1, -0.1, 0], dtype=np.float32)
    names = measure(ring).torsions.names
    assert "PHI 0 GLY 1" in names and "PSI 0 GLY 4" in names and len(names) == 8
    assert measure(ring).geometry.without_break == 1 and measure(opened, like=ring).geometry.without_break == 0.5


@pytest.mark.parametrize(
    ("suffix", "stated", "told"),
    [
        (".trr", None, r"at time 510 ps \(frame 50, counted from 0\)"),
        (".dcd", None, r"in frame 50, counted from 0 \(the file does not tell its time\)"),
        (".dcd", 10.0, "in frame 50, counted from 0, 500 ps after the first"),
    ],
)
def test_a_broken_frame_is_named_by_number_and_time(suffix, stated, told, md, tmp_path, monkeypatch):
    monkeypatch.setattr("openmm_mdgen.analysis.sources.CHUNK", 20)
    broken = mdtraj.Trajectory(md.xyz[:60].copy(), md.topology, time=10.0 * np.arange(1, 61))
    broken[0].save_pdb(str(tmp_path / "top.pdb"))
    broken.xyz[50, 3] = np.nan
    broken.save(str(tmp_path / f"broken{suffix}"))
    with pytest.raises(StateError, match=f"broken{suffix} has positions that are not finite, first {told}"):
        measure(TrajectoryFile(tmp_path / f"broken{suffix}", tmp_path / "top.pdb", stated))


def with_header(path, start, steps, units):
    """Write first step, steps between frames and the step of a DCD file."""
    content = bytearray(path.read_bytes())
    content[12:20] = struct.pack("<2i", start, steps)
    content[44:48] = struct.pack("<f", units)
    path.write_bytes(content)


def test_a_dcd_header_that_says_nothing_is_not_believed(md, tmp_path):
    md[0].save_pdb(str(tmp_path / "top.pdb"))
    path = tmp_path / "md.dcd"
    md.save_dcd(str(path))
    unknown = measure(TrajectoryFile(path, tmp_path / "top.pdb")).torsions.frame_interval
    assert isinstance(unknown, NotDefined) and "NSAVC 1, DELTA 1" in unknown.why
    with pytest.raises(MDGenError, match="md.dcd: the DCD file's header has no time step"):
        read_md(tmp_path / "top.pdb", path)
    assert measure(TrajectoryFile(path, tmp_path / "top.pdb", 10.0)).torsions.frame_interval == 10.0
    with_header(path, 0, 1, 0.0)
    assert isinstance(measure(TrajectoryFile(path, tmp_path / "top.pdb")).torsions.frame_interval, NotDefined)
    with_header(path, 500, 500, 0.002 / 0.04888821)
    assert measure(TrajectoryFile(path, tmp_path / "top.pdb")).torsions.frame_interval == pytest.approx(1.0)
    xyz = md.xyz.copy()
    xyz[7] = np.nan
    mdtraj.Trajectory(xyz, md.topology).save_dcd(str(path))
    with_header(path, 500, 500, 0.002 / 0.04888821)
    with pytest.raises(StateError, match=r"at time 8 ps \(frame 7"):
        measure(TrajectoryFile(path, tmp_path / "top.pdb"))


@pytest.mark.parametrize("suffix", [".xtc", ".trr", ".dcd", ".nc", ".pdb", ".pdb.gz", ".gro", ".xyz"])
def test_whatever_mdtraj_reads_is_measured(suffix, md, tmp_path):
    part = md[:12]
    part[0].save_pdb(str(tmp_path / "top.pdb"))
    part.save(str(tmp_path / f"part{suffix}"))
    found = measure(TrajectoryFile(tmp_path / f"part{suffix}", tmp_path / "top.pdb"))
    assert found.torsions.n_frames == 12 and found.torsions.names == measure(part).torsions.names
    assert np.abs(np.exp(1j * found.torsions.angles) - np.exp(1j * measure(part).torsions.angles)).max() < 0.05
