"""Values between points: centred, upwind-biased, WENO and flux-limited reconstructions."""

from dassim.dynamics.reconstruction.schemes import WENO, Centred, FluxLimited, Scheme, Upwind
from dassim.dynamics.reconstruction.stencil import reconstruct

__all__ = ["WENO", "Centred", "FluxLimited", "Scheme", "Upwind", "reconstruct"]
