"""One user's molecule with all its atoms: read from OpenMM's topology, measured, and placed frame by frame."""
