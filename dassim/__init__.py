"""dassim."""
