"""BinaryDuo (Kim et al., ICLR 2020): a ternary network is trained, then decoupled into a 1-bit one and fine-tuned."""
