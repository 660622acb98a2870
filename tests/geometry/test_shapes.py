"""The shapes in the signatures of tensor code are checked while the tests run."""

import pytest
import torch
from jaxtyping import TypeCheckError

from openmm_mdgen.geometry import atom14
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.model.network.embeddings import gated_sum


def test_atoms_of_the_wrong_shape_are_refused():
    aatype = torch.zeros(4, dtype=torch.long)
    assert atom14.torsions(aatype, torch.randn(3, 4, 14, 3)).shape == (3, 4, 7, 2)
    for wrong in (torch.randn(3, 4, 13, 3), torch.randn(3, 5, 14, 3), torch.zeros(3, 4, 14, 3, dtype=torch.long)):
        with pytest.raises(TypeCheckError):
            atom14.torsions(aatype, wrong)


def test_parts_of_a_dataclass_that_do_not_fit_are_refused():
    with pytest.raises(TypeCheckError):
        Rigid(torch.zeros(2, 3, 3), torch.zeros(4, 3))


def test_modules_of_the_network_are_checked_too():
    with pytest.raises(TypeCheckError):
        gated_sum(torch.zeros(2, 5, 8), torch.zeros(2, 5, 8), torch.zeros(3, 8))
