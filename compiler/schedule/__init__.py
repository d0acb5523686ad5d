"""The parts that a network and a folding come to, and how many cycles a frame takes them."""
