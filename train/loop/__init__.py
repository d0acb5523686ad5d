"""The training loop, and all that a run is: optimizer, losses, metrics, checkpoints, its folder."""
