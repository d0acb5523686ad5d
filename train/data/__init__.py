"""Data sets as NumPy arrays, where they come from, and what distorts their images in training."""
