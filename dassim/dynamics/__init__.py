"""Dynamics that the ocean and the atmosphere share."""
