"""Namelists as text."""

from __future__ import annotations

import yaml

from dassim.config.schema.section import Section


class _Dumper(yaml.SafeDumper):
    """Sections on lines of their own, lists on one."""

    def represent_sequence(self, tag, sequence, flow_style=None):
        return super().represent_sequence(tag, sequence, flow_style=True)


def as_yaml(namelist: Section) -> str:
    """The namelist with SI values and defaults, as YAML that reads back to an equal one."""
    plain = namelist.model_dump(mode="json", exclude_none=True)
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100).rstrip()
