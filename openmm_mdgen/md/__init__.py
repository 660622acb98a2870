"""Making real molecular dynamics with OpenMM: structures, systems, packed runs."""
