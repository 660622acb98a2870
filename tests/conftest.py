"""Types of tensor code are checked while the tests run, and nothing takes more than one thread."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENMM_CPU_THREADS"] = "1"

from hypothesis import settings
from jaxtyping import install_import_hook

# Where tensors are passed on. Around it, bad types from users are given on purpose, to see them refused.
TENSOR_CODE = (
    "geometry.atom14 geometry.rigid model.dirichlet model.flow model.interpolant model.network model.ode model.tasks "
    "model.tokens molecule.backbone molecule.chain molecule.clashes molecule.contacts molecule.fitting molecule.hinges "
    "molecule.nearest molecule.overlaps molecule.placement molecule.proline molecule.skeleton molecule.template"
).split()
install_import_hook([f"openmm_mdgen.{name}" for name in TENSOR_CODE], "typecheck.checked")
settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")
