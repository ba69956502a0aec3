"""The ocean: equations of state, vertical mixing, forcing and the hydrostatic model."""
