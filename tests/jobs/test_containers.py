"""The definitions of containers, as far as can be said without building them: tools/container-check
builds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.container_check import DefinitionError, check, parse

PROJECT = Path(__file__).resolve().parents[2]

STAGE = "Bootstrap: docker\nFrom: debian:bookworm-slim\n"


@pytest.mark.parametrize("name", ["dassim", "dassim-cuda"])
def test_definitions_have_two_stages_and_compilers_in_the_first_alone(name):
    first, last = parse((PROJECT / "containers" / f"{name}.def").read_text(), {"commit": "abc"})
    check((first, last), PROJECT)
    assert last.files == [(first.name, "/opt/dassim", "/opt/dassim")]
    assert "g++" in first.sections["post"]
    assert "g++" not in last.sections["post"]
    assert "DASSIM_COMMIT=abc\n" in last.sections["environment"]
    assert "org.opencontainers.image.revision abc\n" in last.sections["labels"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found no Bootstrap"),
        ("%post\n  true\n", "line 1: found %post"),
        (STAGE + "color\n", "line 3: found 'color'"),
        (STAGE + "%posts\n", "line 3: found %posts"),
        (STAGE + "%post\n%post\n", "line 4: found %post twice"),
        (STAGE + "%post\n  {{ name }}\n", r"found \{\{ name \}\}"),
        (STAGE + "%post\n  if true\n", "%post of stage ''"),
        (STAGE + "%files\n  nothing /opt\n", "found %files nothing"),
        (STAGE + "%files from other\n  a /opt\n", "found %files from other"),
        ("Bootstrap: docker\nFrom: ubuntu:24.04\n", "expected .* debian:SUITE-slim"),
    ],
)
def test_what_apptainer_would_refuse_is_refused(text, message):
    with pytest.raises(DefinitionError, match=message):
        check(parse(text), PROJECT)


def test_arguments_have_values():
    text = STAGE + "%arguments\n  a=1\n  b=2\n%post\n  echo {{ a }} {{b}}\n"
    (stage,) = parse(text, {"b": "3"})
    assert stage.sections["post"] == "  echo 1 3\n"
