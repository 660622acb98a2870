"""The velocity network: configuration, and the network itself."""

from openmm_mdgen.model.network.config import NetworkConfig
from openmm_mdgen.model.network.velocity import VelocityNetwork

__all__ = ["NetworkConfig", "VelocityNetwork"]
