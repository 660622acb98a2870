"""What a simulation asks of a trajectory generator (`contract`), and whether one keeps it (`conformance`)."""

from openmm_mdgen.protocol.conformance import assert_conforms
from openmm_mdgen.protocol.contract import (
    ENTRY_POINTS,
    MOST_INVALID,
    BatchPropagator,
    GeneratedSegment,
    Generator,
    GeneratorFactory,
    Propagator,
    TemperaturePropagator,
    as_segment,
    draw,
    require_generator,
    temperature_range,
)

__all__ = [
    "ENTRY_POINTS",
    "MOST_INVALID",
    "BatchPropagator",
    "GeneratedSegment",
    "Generator",
    "GeneratorFactory",
    "Propagator",
    "TemperaturePropagator",
    "as_segment",
    "assert_conforms",
    "draw",
    "require_generator",
    "temperature_range",
]
