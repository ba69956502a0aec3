"""Runs of a model: in segments, forward and backward."""
