"""Generated molecular dynamics trajectories inside OpenMM."""
