"""The dot-product engine: popcounts, weight memories, constants."""
