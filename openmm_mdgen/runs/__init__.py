"""Long runs that are never lost: trajectories that grow, and checkpoints from which a run goes on."""
