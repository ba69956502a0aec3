"""Every namelist at full size: the same state after 100 steps on 1, 2, 3 and 4 ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

from tests.models.namelists import ATMOSPHERE, OCEAN, PROJECT
from tests.validation.report import Check, case

STEPS = 100


def checks_of(name: str):
    for ranks in (2, 3, 4):
        command = [PROJECT / "tools" / "mpirun", str(ranks), sys.executable]
        command += ["-m", "tests.models.namelists", name, str(STEPS)]
        ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
        if ended.returncode:
            raise RuntimeError(f"{name} on {ranks} ranks: {ended.stderr[-2000:]}")
        apart = max(json.loads(ended.stdout.splitlines()[-1]).values())
        what = f"{name}: {ranks} ranks and 1 differ by"
        yield Check(what, 1e-12, apart, bound="below")


for each in (*OCEAN, *ATMOSPHERE):
    case(f"ranks of {each}", "identities; 100 steps", minutes=5)(partial(checks_of, each))
