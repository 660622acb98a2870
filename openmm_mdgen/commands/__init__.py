"""The sub-commands of ``openmm-mdgen``, one module each."""
