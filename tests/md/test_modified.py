"""Modified residues for which amber14 has parameters: they stay, and the network is told their parent."""

import numpy as np
import pytest
from openmm import unit

from openmm_mdgen.errors import UnsupportedTopologyError
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.molecule.chain import ProteinChain
from pdb_texts import hydroxyproline, text_of, with_atoms_renamed, write


def residues_of(prepared):
    return [residue.name for residue in prepared.topology.residues()]


def names_of(prepared):
    return sorted(atom.name for atom in prepared.topology.atoms())


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (hydroxyproline(), False),
        (hydroxyproline("AKGP", place=4), True),
        (hydroxyproline(cut=("CG", "CB")), False),
        (hydroxyproline("ACE-PG", place=2), False),
    ],
    ids=["inside", "last", "cut", "capped"],
)
def test_hydroxyproline_stays_as_amber14_knows_it(text, end, tmp_path):
    prepared = prepare(write(tmp_path, text), seed=2)
    [hyp] = [residue for residue in prepared.topology.residues() if residue.name == "HYP"]
    assert not any("becomes" in note for note in prepared.notes)
    expected = "N CD HD22 HD23 CG HG OD1 HD1 CB HB2 HB3 CA HA C O".split() + ["OXT"] * end  # of amber14's template
    assert sorted(atom.name for atom in hyp.atoms()) == sorted(expected)
    bonded = {frozenset((a.name, b.name)) for a, b in hyp.internal_bonds()}
    assert {frozenset(("CG", "OD1")), frozenset(("OD1", "HD1"))} <= bonded
    found = prepared.minimised()
    lengths = [np.linalg.norm(found[a.index] - found[b.index]) for a, b in prepared.topology.bonds()]
    assert 0.09 < min(lengths) and max(lengths) < 0.16
    chain = ProteinChain.from_openmm(prepared.topology)
    assert chain.sequence[hyp.index - (chain.n_cap is not None)] == "P"
    again = prepare(write(tmp_path, text_of(prepared.topology, found * unit.nanometer)))
    assert again.notes == () and names_of(again) == names_of(prepared)


def test_hydrogens_of_hydroxyproline_under_other_names(tmp_path):
    prepared = prepare(write(tmp_path, hydroxyproline()))
    text = text_of(prepared.topology, prepared.positions * unit.nanometer).replace("HETATM", "ATOM  ")
    other = with_atoms_renamed(text, {("HYP", a): b for a, b in {"HD22": "HD1", "HD23": "HD2", "HD1": "HO"}.items()})
    again = prepare(write(tmp_path, other))
    assert again.notes == ("hydrogens renamed by the atoms that they are bonded to: HYP 3",)
    assert names_of(again) == names_of(prepared)


def test_hydroxyproline_at_the_start_and_without_its_oxygen(tmp_path):
    prepared = prepare(write(tmp_path, hydroxyproline("PGAV", place=1)))
    assert residues_of(prepared) == ["PRO", "GLY", "ALA", "VAL"]
    told = "modified residues without parameters in amber14 at the start of a chain: HYP 1 becomes PRO"
    assert told in prepared.notes
    with pytest.raises(UnsupportedTopologyError, match="HYP 3 lacks OD1"):
        prepare(write(tmp_path, hydroxyproline(cut=("OD1",))))
