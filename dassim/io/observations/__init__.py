"""Files of point observations: dassim's own layout, Argo floats, IODA."""

from dassim.io.observations.argo import read_argo
from dassim.io.observations.ioda import read_ioda
from dassim.io.observations.native import read_table, write_table
from dassim.io.observations.reading import Units
from dassim.io.observations.table import ObservationError, ObservationTable, joined

__all__ = [
    "ObservationError",
    "ObservationTable",
    "Units",
    "joined",
    "read_argo",
    "read_ioda",
    "read_table",
    "write_table",
]
