"""PE and SIMD of every layer: what they mean, which ones suit, and the search for the best."""
