"""fetch_pip.py FILE: pip's newest wheel from the package index ($PIP_INDEX_URL, else PyPI).

For a Python that comes without pip: a wheel of pip runs as it is, `python FILE/pip install ...`.
"""

import hashlib
import os
import re
import sys
import urllib.parse
import urllib.request
from pathlib import Path


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as response:
        return response.read()


index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
pattern = r'href="([^"#]*/pip-(\d+)\.(\d+)(?:\.(\d+))?-py3-none-any\.whl)#sha256=(\w+)"'
found = re.findall(pattern, read(index).decode())
if not found:
    sys.exit(f"found no wheel of pip at {index}; install pip, or uv, by other means")
href, *_, digest = max(found, key=lambda match: [int(number or 0) for number in match[1:4]])

wheel = read(urllib.parse.urljoin(index, href))
if hashlib.sha256(wheel).hexdigest() != digest:
    sys.exit(f"{href} does not have the checksum that {index} announces; try again")
target = Path(sys.argv[1])
target.parent.mkdir(parents=True, exist_ok=True)
target.write_bytes(wheel)
