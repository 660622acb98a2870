"""Starts keep the stereochemistry of their sequence: what comes out wrong is built anew, or refused."""

import json

import mdtraj
import numpy as np
import pytest
from openmm import app, unit

from openmm_mdgen.errors import StateError
from openmm_mdgen.files import PROTOCOL_FILE
from openmm_mdgen.md import peptides, prepared
from openmm_mdgen.md.conditions import MDProtocol
from openmm_mdgen.md.hydrogens import with_hydrogens
from openmm_mdgen.md.minimisation import Minimiser
from openmm_mdgen.md.peptides import BuiltPeptide, build_peptide
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.md.prepared import Prepared
from openmm_mdgen.md.production import planned, simulate
from openmm_mdgen.md.starts import make_start
from openmm_mdgen.md.stereochemistry import Stereochemistry, with_hydrogens_outside
from openmm_mdgen.md.systems import relaxed
from openmm_mdgen.seeds import seed_of_try

ALLO = "THR 2 is allothreonine: its CB is the mirror image of that of threonine"


def built(sequence="ATG", seed=1):
    topology, positions = build_peptide(sequence, seed=seed)
    return topology, np.array(positions.value_in_unit(unit.nanometer))


def allo(topology, positions):
    """The same peptide with the hydroxyl and the methyl group of its threonine exchanged."""
    [threonine] = [{a.name: a.index for a in r.atoms()} for r in topology.residues() if r.name == "THR"]
    changed, pair = positions.copy(), [threonine["OG1"], threonine["CG2"]]
    changed[pair] = changed[pair[::-1]]
    for carrier, hydrogens in (("OG1", ["HG1"]), ("CG2", ["HG21", "HG22", "HG23"])):
        moved = [threonine[name] for name in hydrogens]
        changed[moved] += changed[threonine[carrier]] - positions[threonine[carrier]]
    return changed


def md_of(folder, name):
    return mdtraj.load(str(folder / name / f"{name}.xtc"), top=str(folder / name / f"{name}.pdb"))


@pytest.fixture
def first_is_wrong(monkeypatch):
    """The builder as it is, but for the structures of some seeds, which come with allothreonine."""
    wrong = {1}

    def build(sequence, *, ph=7.0, seed=0):
        topology, positions = build_peptide(sequence, ph=ph, seed=seed)
        if seed in wrong:
            positions = allo(topology, positions.value_in_unit(unit.nanometer)) * unit.nanometer
        return topology, positions

    monkeypatch.setattr(peptides, "build_peptide", build)
    return wrong


def test_residues_and_bonds_that_came_out_wrong_are_told():
    topology, positions = built("ACE-ATPG-NME")
    known = Stereochemistry.of(topology)
    assert known.mirrored(positions) == known.not_trans(positions) == []
    assert known.followers == ("ALA 2", "THR 3", "PRO 4", "GLY 5", "NME 6")
    assert known.mirrored(allo(topology, positions)) == [ALLO.replace("2", "3")]
    assert len(known.mirrored(positions * [1, 1, -1])) == 3 and known.not_trans(positions * [1, 1, -1]) == []
    # Turned by half about C-N, all that follows the bond: proline is cis then.
    residues = [{a.name: a.index for a in r.atoms()} for r in topology.residues()]
    c, n = positions[residues[2]["C"]], positions[residues[3]["N"]]
    axis = (n - c) / np.linalg.norm(n - c)
    behind = [k for r in residues[3:] for k in r.values()]
    turned = positions.copy()
    arms = positions[behind] - c
    turned[behind] = c + 2 * (arms @ axis)[:, None] * axis - arms
    assert known.not_trans(turned) == ["the peptide bond before PRO 4 is cis"] and known.mirrored(turned) == []
    assert known.mirrored(positions * np.nan) == []


def test_a_minimisation_that_turns_a_residue_over_is_refused_with_its_name():
    topology, positions = built()
    known, wrong = Stereochemistry.of(topology), allo(topology, positions)
    with pytest.raises(StateError, match=f"turned a residue over: {ALLO}. Build the peptide from another seed"):
        known.require_kept(positions, wrong)
    known.require_kept(wrong, wrong)  # what was so before was not turned
    known.require_kept(wrong, positions)
    np.testing.assert_array_equal(Stereochemistry.of(topology).mirrored(relaxed(topology, wrong)), [ALLO])


def test_a_sound_start_is_what_it_was():
    peptide = prepare("ATG", seed=1)
    assert isinstance(peptide, BuiltPeptide) and (peptide.seed, peptide.tries) == (1, 1)
    topology, positions = built()
    np.testing.assert_array_equal(peptide.positions, positions)
    np.testing.assert_array_equal(peptide.minimised(), relaxed(topology, positions))


def test_a_built_start_that_comes_out_wrong_is_built_anew_from_a_seed_that_follows(first_is_wrong, tmp_path):
    with pytest.warns(UserWarning, match=rf"ATG, seed 1: minimised, {ALLO}.*built anew from seed {seed_of_try(1, 1)}"):
        found = BuiltPeptide.of("ATG", seed=1).minimised()
    other, positions = built(seed=seed_of_try(1, 1))
    np.testing.assert_array_equal(found, relaxed(other, positions))
    with pytest.warns(UserWarning, match="built anew"):
        start = make_start(prepare("ATG", seed=1), tmp_path / "kept.npz", Minimiser())
    np.testing.assert_array_equal(start.positions, found)


def test_after_ten_structures_that_come_out_wrong_there_is_an_error(first_is_wrong, monkeypatch):
    first_is_wrong.update(seed_of_try(1, k) for k in range(10))
    monkeypatch.setattr(prepared, "minimised_frames", lambda topology, frames: frames)  # which may turn one back
    with (
        pytest.warns(UserWarning, match="built anew"),
        pytest.raises(StateError, match=rf"ATG, seed 1: none of 10 structures .*{ALLO}: give another seed"),
    ):
        BuiltPeptide.of("ATG", seed=1).minimised()


def test_a_file_whose_start_comes_out_wrong_is_refused():
    topology, positions = built()
    given = Prepared(topology, positions, ())
    assert given.fault(positions) == "" and given.fault(allo(topology, positions)) == ALLO
    with pytest.raises(StateError, match=f"the start cannot be used: {ALLO}.*mend it"):
        given.drawn_anew(ALLO)
    with pytest.raises(StateError, match=f"the start cannot be used: {ALLO}.*mend it"):
        Prepared(topology, allo(topology, positions), ()).minimised()


def test_a_hydrogen_on_the_wrong_side_of_its_carbon_is_put_right_before_a_file_is_refused():
    topology, positions = built()
    [threonine] = [{a.name: a.index for a in r.atoms()} for r in topology.residues() if r.name == "THR"]
    centre, hydrogen = positions[threonine["CB"]], threonine["HB"]
    wrong = positions.copy()
    wrong[hydrogen] = 2 * centre - positions[hydrogen]
    right = with_hydrogens_outside(topology, wrong)
    assert np.linalg.norm(right[hydrogen] - positions[hydrogen]) < 0.02
    others = np.arange(len(positions)) != hydrogen
    np.testing.assert_array_equal(right[others], positions[others])
    np.testing.assert_array_equal(with_hydrogens_outside(topology, positions), positions)
    with pytest.warns(UserWarning, match="since a hydrogen was on the wrong side of its carbon"):
        found = Prepared(topology, wrong, ()).drawn_anew(ALLO)
    np.testing.assert_array_equal(found.positions, right)


def test_hydrogens_that_are_added_are_put_right_and_given_ones_are_left(monkeypatch):
    topology, expected = built()
    [threonine] = [{a.name: a.index for a in r.atoms()} for r in topology.residues() if r.name == "THR"]
    whole = app.Modeller.addHydrogens

    def wrong(modeller, *arguments, **options):
        """As it is, but with HB between the neighbours of CB."""
        found = whole(modeller, *arguments, **options)
        xyz = np.array(modeller.positions.value_in_unit(unit.nanometer))
        xyz[threonine["HB"]] = 2 * xyz[threonine["CB"]] - xyz[threonine["HB"]]
        modeller.positions = xyz * unit.nanometer
        return found

    monkeypatch.setattr(app.Modeller, "addHydrogens", wrong)
    _, positions = built()
    np.testing.assert_allclose(positions[threonine["HB"]], expected[threonine["HB"]], atol=0.02)
    others = np.arange(len(positions)) != threonine["HB"]
    np.testing.assert_array_equal(positions[others], expected[others])
    _, kept = with_hydrogens(topology, expected * unit.nanometer, 1)  # which lacks none
    moved = np.array(kept.value_in_unit(unit.nanometer))[threonine["HB"]]
    assert np.linalg.norm(moved - expected[threonine["HB"]]) > 0.15


def test_reference_md_begins_with_sound_starts_and_says_which_were_built_anew(first_is_wrong, tmp_path):
    short = MDProtocol(duration=0.2, frame_interval=0.1, equilibration=0.1)
    longer = MDProtocol(duration=0.3, frame_interval=0.1, equilibration=0.1)
    systems = [planned([name], replicas=1, seed=1)[0] for name in ("TG", "AG")]
    first_is_wrong.clear()
    first_is_wrong.add(systems[0].seed)
    with pytest.warns(UserWarning, match="TG, seed .* is built anew"):
        simulate(systems, tmp_path, short, platform="Reference")
    protocols = [json.loads((tmp_path / name / PROTOCOL_FILE).read_text()) for name in ("TG", "AG")]
    assert protocols[0]["start"] == {"tries": 2, "seed": seed_of_try(systems[0].seed, 1)}
    assert "start" not in protocols[1]
    frames = md_of(tmp_path, "TG")
    assert frames.n_frames == 2 and Stereochemistry.of(frames.topology.to_openmm()).mirrored(frames.xyz[0]) == []
    simulate(systems, tmp_path, longer, platform="Reference")  # goes on from where that ended
    assert json.loads((tmp_path / "TG" / PROTOCOL_FILE).read_text())["start"] == protocols[0]["start"]
    assert md_of(tmp_path, "TG").n_frames == 3
