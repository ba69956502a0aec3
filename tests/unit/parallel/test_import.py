"""Importing dassim is quick, starts no MPI, and reads no environment."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

MODULES = ("dassim", "dassim.parallel", "dassim.grid")

TIME = """
import time
import jax
import jax.numpy
start = time.process_time()
for name in {modules}:
    __import__(name)
print(time.process_time() - start)
"""

GUARD = """
import os, sys
import equinox, jax, jax.numpy, jax.extend, numpy  # these may read what they like

class Forbidden(dict):
    def refuse(self, *_):
        raise AssertionError("the environment was read at import")
    __getitem__ = __contains__ = __iter__ = __len__ = get = items = keys = values = copy = refuse

os.environ = os.environb = Forbidden()
for name in {modules}:
    __import__(name)
loaded = [name for name in ("mpi4py", "mpi4jax", "h5py", "netCDF4", "xarray", "yaml")
          if name in sys.modules]
print(loaded)
"""


def output(program: str) -> str:
    source = program.format(modules=MODULES)
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_importing_takes_less_than_a_second_more_than_jax():
    """Processor time, since other programs may be running."""
    assert float(output(TIME)) < 1.0


def test_importing_reads_no_environment_and_loads_neither_mpi_nor_files():
    assert output(GUARD) == "[]"


def test_the_one_private_name_of_jax_is_there():
    """dassim.parallel.primitives allows MPI's effect inside jax.checkpoint through it."""
    assert callable(effects().remat_allowed_effects.add_type)


def test_checkpoint_accepts_the_effect_of_messages():
    pytest.importorskip("mpi4jax")
    from mpi4jax._src.utils import ordered_effect

    from dassim.parallel.primitives import _mpi_effect

    assert _mpi_effect() is ordered_effect
    assert effects().remat_allowed_effects.contains(ordered_effect)
    assert effects().ordered_effects.contains(ordered_effect)


def effects():
    return importlib.import_module("jax._src.effects")
