"""The integer network on a CPU, quickly; the golden model is the oracle."""
