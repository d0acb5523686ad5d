"""What stands around an accelerator on a board: UART, packets, the board's top and its files."""
