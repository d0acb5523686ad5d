"""The link between a host and an accelerator on a board: packets on bytes. Pure Python, no hardware, no torch."""
