"""What is refused where the types of arguments are not checked: for a process of its own."""

import pytest

from dipeptide import simulation_of
from openmm_mdgen.errors import MDGenError


def give_wrong_kinds():
    for option in ({"generator": 3}, {"generator": object()}, {"schedule": "integrate"}):
        with pytest.raises(MDGenError, match=f"^{next(iter(option))} is "):
            simulation_of(**option)
