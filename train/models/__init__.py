"""Networks of a recipe: what it says of them, and how they are built."""
