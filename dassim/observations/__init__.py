"""Point observations: where they lie on the grid, what a state says there, which can be used."""
