"""Import every module of dassim, and with them what they need.

It shows that all of it is installed, and leaves the bytecode that Python compiles at a first
import: commands start a third sooner, also where Python may write none later.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

sys.dont_write_bytecode = False
importlib.import_module("pint")  # which dassim imports at the first unit of a namelist
dassim = importlib.import_module("dassim")
for module in pkgutil.walk_packages(dassim.__path__, "dassim."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
