"""The type checker that `conftest` puts on tensor code: beartype, with int for float as PEP 484 has it."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
