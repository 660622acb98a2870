"""Structures of every kind that people bring, under each program's names: prepared as told, or refused for the reason.

The tables are in `kinds_of_names`, `kinds_of_molecules` and `kinds_in_scripts`. What is tried of each structure goes as
far as the geometry that frames are generated of.
"""

import re
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import unit

import kinds_in_scripts
import kinds_of_molecules
import kinds_of_names
import molecule_page
from molecule_kinds import File
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.md.own_fields import PreparedInOwnField
from openmm_mdgen.md.prepare import prepare
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.positions import box_of, usable
from openmm_mdgen.molecule.template import AllAtomTemplate

IN_THE_COMMAND, IN_A_SCRIPT = [*kinds_of_names.KINDS, *kinds_of_molecules.KINDS], kinds_in_scripts.KINDS
PAGE = Path(__file__).parents[2] / "docs" / "molecules.md"
CHARGES = {"ARG": 1, "LYS": 1, "HIP": 1, "ASP": -1, "GLU": -1, "CYM": -1}  # by textbook; all others have none


def cases(kinds):
    return [pytest.param(kind, case, id=f"{kind.kind}: {name}") for kind in kinds for name, case in kind.cases.items()]


def source_of(case, folder):
    if not isinstance(case.source, File):
        return case.source
    content, path = case.source.content(), folder / case.source.name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def charge_of_names(chain):
    """The charge of a chain by its residues' names: NH3+ and COO- at ends without caps."""
    names = [residue.name for residue in chain.residues()]
    ends = (names[0] != "ACE") - (names[-1] not in ("NME", "NH2"))
    return ends + sum(CHARGES.get(name, 0) for name in names)


def charge_of(system):
    force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    return sum(force.getParticleParameters(k)[0] / unit.elementary_charge for k in range(force.getNumParticles()))


def measured(topology, positions, *, each_chain=False):
    """What the model knows the chains as, with the geometry of their frames."""
    found = ProteinChain.each(topology) if each_chain else [ProteinChain.from_openmm(topology)]
    for chain in found:
        positions = usable("positions", chain, positions, box_of(topology))
        template = AllAtomTemplate.measure(chain, positions)
        assert np.isfinite(template.chain_rigids(template.torsions[None]).translation.numpy()).all()
    return found


def assert_refused(kind, error):
    assert kind.refused is not None, f"refused: {error}"
    assert re.search(kind.refused, str(error)), f"for another reason: {error}"


@pytest.mark.parametrize(("kind", "case"), cases(IN_THE_COMMAND))
def test_structures_as_the_command_takes_them(kind, case, tmp_path):
    try:
        prepared = prepare(source_of(case, tmp_path), **case.options)
        measured(prepared.topology, prepared.positions, each_chain=case.options.get("each_chain", False))
    except MDGenError as error:
        assert_refused(kind, error)
        return
    assert kind.refused is None, "not refused"
    assert [residue.name for residue in prepared.topology.residues()] == case.residues.split()
    assert re.search(kind.told, "\n".join(prepared.notes)), prepared.notes
    bonds = np.array([(a.index, b.index) for a, b in prepared.topology.bonds()])
    lengths = np.linalg.norm(prepared.positions[bonds[:, 0]] - prepared.positions[bonds[:, 1]], axis=1)
    assert 0.08 < lengths.min() and lengths.max() < 0.22
    if isinstance(prepared, PreparedInOwnField):
        return  # a force field of its own, whose System is not made here
    charge = sum(map(charge_of_names, prepared.topology.chains())) if case.charge is None else case.charge
    assert charge_of(prepared.system()) == pytest.approx(charge, abs=1e-4)


@pytest.mark.parametrize(("kind", "case"), cases(IN_A_SCRIPT))
def test_structures_as_a_script_gives_them(kind, case):
    topology, positions = case.source()
    try:
        (chain,) = measured(topology, positions)
    except MDGenError as error:
        assert_refused(kind, error)
        return
    assert kind.refused is None, "not refused"
    assert "-".join(filter(None, [chain.n_cap, chain.sequence, chain.c_cap])) == case.residues
    protein = [r for r in topology.residues() if r.name not in ("HOH", "CL", "LIG")]
    assert len(chain.atom_indices) == sum(len(list(residue.atoms())) for residue in protein)


def test_the_table_has_enough_structures():
    assert sum(len(kind.cases) for kind in IN_THE_COMMAND) >= 60


def test_the_page_is_what_the_table_gives():
    assert PAGE.read_text() == molecule_page.page(), "python tests/helpers/molecule_page.py > docs/molecules.md"
