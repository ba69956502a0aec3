"""Double precision in all tests and in the examples of docstrings."""

import jax

jax.config.update("jax_enable_x64", True)
