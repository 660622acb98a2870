"""The start of a protein: minimised within a limit, told of, judged, and kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import pytest

from openmm_mdgen.errors import MDGenError, StateError
from openmm_mdgen.md import minimisation
from openmm_mdgen.md.minimisation import (
    Iterations,
    Lines,
    Minimiser,
    is_peptide,
    minimise,
    number_of_threads,
    require_sound,
)
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.md.starts import make_start, require_ours
from openmm_mdgen.md.systems import implicit_system, relaxed
from structures import molecules, peptide

PROTEINS = Path(__file__).parent.parent / "data" / "proteins"


@pytest.fixture(scope="module")
def trp_cage():
    return prepare(PROTEINS / "trp_cage.pdb")


def energy_and_force(system, positions):
    """kJ/mol, and the root mean square of the force components, by OpenMM's Reference platform."""
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, np.sqrt(np.mean(np.square(state.getForces(asNumpy=True)._value)))


def test_chains_of_up_to_ten_residues_are_peptides(trp_cage):
    assert is_peptide(peptide("ACDEFGHIKL")[0]) and not is_peptide(peptide("ACDEFGHIKLM")[0])
    assert is_peptide(molecules("ACDEFG", "HIKLMN", waters=20)[0]) and not is_peptide(trp_cage.topology)


def test_a_peptide_is_minimised_as_ever_and_nothing_is_kept(tmp_path):
    prepared = prepare("AKLV", seed=3)
    start = make_start(prepared, tmp_path / "a.start.npz", Minimiser(max_iterations=1))
    np.testing.assert_array_equal(start.positions, relaxed(prepared.topology, prepared.positions))
    assert start.notes == () and not list(tmp_path.iterdir())


def test_a_protein_converges_to_what_is_said_of_it(trp_cage):
    whole = trp_cage.to_minimise()
    found = minimise(whole.system, whole.positions, Minimiser())
    energy, force = energy_and_force(whole.system, found.positions)
    assert found.has_converged and found.rms_force <= 11 and 20 < found.iterations < 500
    assert energy == pytest.approx(found.energy, abs=0.5) and force == pytest.approx(found.rms_force, rel=1e-3)
    full = implicit_system(trp_cage.topology)  # without a cutoff, and with constraints
    assert energy_and_force(full, found.positions)[0] < energy_and_force(full, trp_cage.positions)[0] - 100
    require_sound(trp_cage.topology, whole.system, found, whole.atoms)


def test_a_limit_of_iterations_is_kept_and_told(trp_cage, tmp_path):
    seen = []
    start = make_start(
        trp_cage, tmp_path / "a.start.npz", Minimiser(max_iterations=7), watching=lambda: seen.append
    )  # fmt: skip
    assert [iteration.number for iteration in seen] == list(range(1, len(seen) + 1)) and 7 <= len(seen) <= 8
    assert seen[-1].energy < seen[0].energy
    (note,) = start.notes
    assert "stopped at its limit after" in note and "RMS force of" in note and "sound, so it is used" in note


def test_the_limit_is_blamed_only_where_it_was_reached(trp_cage, monkeypatch):
    whole = trp_cage.to_minimise()
    assert minimise(whole.system, whole.positions, Minimiser(4)).end == minimisation.AT_LIMIT
    assert minimise(whole.system, whole.positions, Minimiser(4, tolerance=1e4)).end == minimisation.CONVERGED

    # One that gives up after 20 iterations begins anew, and the limit is that of all of them.
    original, calls = openmm.LocalEnergyMinimizer.minimize, []

    def gives_up(context, tolerance, limit, reporter):
        calls.append(limit)
        original(context, tolerance, min(limit, 20), reporter)

    monkeypatch.setattr(openmm.LocalEnergyMinimizer, "minimize", staticmethod(gives_up))
    found = minimise(whole.system, whole.positions, Minimiser(50))
    assert found.end == minimisation.AT_LIMIT and 50 <= found.iterations <= 53
    assert len(calls) == 3 and calls[0] == 50 and calls[1] <= 30 and calls[2] <= 10
    # One that gives up at once, as where rounding hides the slope.
    monkeypatch.setattr(openmm.LocalEnergyMinimizer, "minimize", staticmethod(lambda *arguments: None))
    found = minimise(whole.system, whole.positions, Minimiser())
    assert found.end == minimisation.STUCK and "could go no further after 0 iterations" in str(found)


def test_where_there_is_no_terminal_lines_tell_of_it(capsys, monkeypatch):
    clock = iter([0.0, 4.0, 11.0, 12.0, 22.0])
    monkeypatch.setattr(minimisation.time, "perf_counter", lambda: next(clock))
    lines = Lines("minimising the start", 500)
    for number in range(1, 5):
        lines(minimisation.Iteration(number, -1000.0, 25.0))
    out, errors = capsys.readouterr()
    assert out == "" and errors.splitlines() == [
        "minimising the start: at most 500 iterations",
        "minimising the start: iteration 2 of at most 500, RMS force 25 kJ/mol/nm",
        "minimising the start: iteration 4 of at most 500, RMS force 25 kJ/mol/nm",
    ]


def test_watching_changes_nothing_and_short_minimisations_are_silent(capsys, monkeypatch):
    prepared, found = prepare("AKLV", seed=3), []
    monkeypatch.setattr(minimisation, "_SILENCE", 0.0)
    for reporter in (None, Iterations(Lines("minimising the start"))):
        platform = openmm.Platform.getPlatformByName("CPU")
        context = openmm.Context(prepared.system(), openmm.VerletIntegrator(0.001), platform, {"Threads": "1"})
        context.setPositions(prepared.positions)
        openmm.LocalEnergyMinimizer.minimize(context, maxIterations=40, reporter=reporter)
        found.append(context.getState(positions=True).getPositions(asNumpy=True)._value)
    np.testing.assert_array_equal(*found)
    assert "minimising the start: iteration 1, RMS force" in capsys.readouterr().err
    monkeypatch.setattr(minimisation, "_SILENCE", 60.0)
    Lines("minimising the start")(minimisation.Iteration(1, 0.0, 0.0))
    assert capsys.readouterr().err == ""


def test_a_kept_start_is_used_again_bit_for_bit(trp_cage, tmp_path):
    kept = tmp_path / "a.start.npz"
    first = make_start(trp_cage, kept, Minimiser(max_iterations=5))
    written = kept.read_bytes()
    again = make_start(trp_cage, kept, Minimiser(max_iterations=5), watching=pytest.fail)
    np.testing.assert_array_equal(again.positions, first.positions)
    assert again.positions.dtype == np.float64 and kept.read_bytes() == written
    assert "used again" in again.notes[0] and "stopped at its limit" in again.notes[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.start.npz"]


def test_a_kept_start_of_something_else_is_made_anew(trp_cage, tmp_path):
    kept, minimiser = tmp_path / "a.start.npz", Minimiser(max_iterations=2)
    make_start(trp_cage, kept, minimiser)
    moved = trp_cage.positions.copy()
    moved[17, 0] += 1e-6
    for other, settings in (
        (replace(trp_cage, positions=moved), minimiser),
        (trp_cage, Minimiser(max_iterations=3)),
        (prepare(PROTEINS / "villin_hp35.pdb"), minimiser),
    ):
        start = make_start(other, kept, settings)
        assert "made anew" in start.notes[0] and len(start.positions) == len(other.positions)
        assert "used again" in make_start(other, kept, settings).notes[0]


@pytest.mark.parametrize("content", [b"my notes", b"", None])
def test_a_file_of_another_kind_is_left_alone(trp_cage, tmp_path, content):
    kept = tmp_path / "a.start.npz"
    if content is None:
        np.savez(kept, positions=trp_cage.positions)
    else:
        kept.write_bytes(content)
    before = kept.read_bytes()
    for ask in (lambda: require_ours(kept), lambda: make_start(trp_cage, kept, Minimiser(max_iterations=1))):
        with pytest.raises(MDGenError, match="holds something else"):
            ask()
    assert kept.read_bytes() == before


def test_a_minimisation_that_is_stopped_leaves_nothing(trp_cage, tmp_path):
    def stop(iteration):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_start(trp_cage, tmp_path / "a.start.npz", Minimiser(), watching=lambda: stop)
    assert not list(tmp_path.iterdir())


def test_a_start_that_is_no_conformation_is_refused(trp_cage, tmp_path):
    named = {(a.residue.index, a.name): a.index for a in trp_cage.topology.atoms()}
    positions = trp_cage.positions.copy()
    positions[named[9, "CA"]] += [0.1, 0, 0]
    with pytest.raises(StateError, match=r"the start cannot be used: .*after .* iterations, .*the bond of .* nm off"):
        make_start(replace(trp_cage, positions=positions), tmp_path / "a.start.npz", Minimiser(max_iterations=1))
    assert not list(tmp_path.iterdir())


def test_overlaps_are_told_from_bonds(trp_cage):
    """The end of the last side chain, laid on the first residue."""
    whole = trp_cage.to_minimise()
    named = {(a.residue.index, a.name): a.index for a in trp_cage.topology.atoms()}
    found = minimise(whole.system, whole.positions, Minimiser(max_iterations=30))
    require_sound(trp_cage.topology, whole.system, found, whole.atoms)
    positions = found.positions.copy()
    last = [a.index for a in trp_cage.topology.atoms() if a.residue.index == 19 and a.name not in ("N", "H", "CA")]
    positions[last] += positions[named[0, "CA"]] + [0.0, 0.0, 0.16] - positions[named[19, "CB"]]
    bondless = openmm.System()  # lengths of bonds are not looked at
    with pytest.raises(StateError, match="nm apart without a bond"):
        require_sound(trp_cage.topology, bondless, replace(found, positions=positions), whole.atoms)


def test_threads_are_as_asked_else_as_the_variable_says(monkeypatch):
    monkeypatch.setenv("OPENMM_CPU_THREADS", "3")
    assert number_of_threads(2) == 2 and number_of_threads() == 3
    for useless in ("", "0", "many"):
        monkeypatch.setenv("OPENMM_CPU_THREADS", useless)
        assert number_of_threads() >= 1
    monkeypatch.setattr(minimisation.os, "sched_getaffinity", lambda process: {2, 5, 7}, raising=False)
    assert number_of_threads() == 3
