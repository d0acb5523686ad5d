"""From a trained PyTorch module to an integer network, and the two compared; torch lives here alone."""
