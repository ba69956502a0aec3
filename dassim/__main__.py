"""``python -m dassim``: the command line of the Python that runs."""

from dassim.cli import main

main()
