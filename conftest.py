"""Double precision in all tests and in the examples of docstrings; tests on several ranks."""

import jax

jax.config.update("jax_enable_x64", True)

pytest_plugins = ["tests.harness.ranks"]
