"""Stream parts: FIFOs, width converters, forks, joins, AXI ports."""
