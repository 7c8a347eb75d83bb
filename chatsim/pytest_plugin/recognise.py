"""Which YAML file is a scenario.

Decides it by the keys at its top: a scenario has `name`, `groups` and `expect` there, and any other YAML is left alone,
be it broken. Rule: this is asked of every YAML file below everybody's tests, so that it is a cheap look, and only what
looks like a flow mapping is parsed. What a scenario may say is `chatsim.scenario`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SUFFIXES: Final = (".yaml", ".yml")
MARKS: Final = (b"name", b"groups", b"expect")
BYTES_MAX: Final = 16 * 1024 * 1024
"""No scenario is larger (`chatsim.scenario.yaml`)."""


def is_scenario(path: Path) -> bool:
    """Whether it is one, right or wrong."""
    try:
        if path.stat().st_size > BYTES_MAX:
            return False
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError:
        return False
    if not all(mark in text for mark in MARKS):
        return False
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith((b"#", b"%"))]
    if lines and lines[0].rstrip() == b"---":
        del lines[0]
    if not lines or any(line.startswith(b"---") for line in lines):
        # More than one document is none of ours.
        return False
    if lines[0].lstrip().startswith(b"{"):
        return _is_flow_scenario(text)
    indent = len(lines[0]) - len(lines[0].lstrip())
    keys = {
        line.partition(b":")[0].strip(b" \"'")
        for line in lines
        if len(line) - len(line.lstrip()) == indent and not line.lstrip().startswith(b"-")
    }
    return set(MARKS) <= keys


def _is_flow_scenario(text: bytes) -> bool:
    from chatsim.scenario.yaml import YamlError, parse_yaml

    try:
        value = parse_yaml(text.decode("utf-8")).value
    except (YamlError, UnicodeDecodeError):
        return False
    return isinstance(value, dict) and all(mark.decode() in value for mark in MARKS)
