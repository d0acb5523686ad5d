"""Synthesis, place and route: what a component or a design costs by the open tools."""
