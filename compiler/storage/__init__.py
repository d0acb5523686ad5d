"""The network file, and networks of other makers read into ours."""
