"""The atmosphere, on the C-grid and the dynamics that it shares with the ocean."""
