"""Folders of real MD: which trajectories belong together."""

import pytest

from openmm_mdgen.analysis.folders import replicas
from openmm_mdgen.errors import MDGenError


def test_replicas_of_one_molecule_are_taken_together(tmp_path):
    for name in ("AKLV_0", "AKLV_1", "AKLV_10", "CFEE_a", "CFEE_b", "my_run", "GAG_3", "trp_cage"):
        (tmp_path / f"{name}.pdb").touch()
        (tmp_path / f"{name}.xtc").touch()
    found = {name: [files[1].stem for files in runs] for name, runs in replicas(tmp_path).items()}
    together = {"AKLV": ["AKLV_0", "AKLV_1", "AKLV_10"], "CFEE": ["CFEE_a", "CFEE_b"]}
    assert found == together | {name: [name] for name in ("GAG_3", "my_run", "trp_cage")}
    with pytest.raises(MDGenError, match="no NAME.pdb"):
        replicas(tmp_path.parent / tmp_path.name / "..")
