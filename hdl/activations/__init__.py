"""Counts to codes and to scores: thresholds, requantizers, the score unit."""
