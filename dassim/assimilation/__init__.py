"""Variational assimilation: controls, costs, minimisers, and checks of derivatives."""
