"""The generative model and its files: tokens, tasks, flow, network, checkpoints."""
