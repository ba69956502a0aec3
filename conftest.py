"""Double precision in all tests and in the examples of docstrings; tests on several ranks."""

import jax

jax.config.update("jax_enable_x64", True)

pytest_plugins = ["tests.harness.ranks"]


def pytest_configure(config):
    config.addinivalue_line("markers", "slurm: jobs on a Slurm that is started for them, as root")
