"""Which YAML file is a scenario: the one answer, for folders that are searched and for what pytest finds.

Decides it by the keys at its top: all scenarios need `name`, `duration`, `groups` and `expect`, and a file with three
of them is one, so that who misspells or forgets a key is told so by the reader, and not passed over. Rule: this is
asked of every YAML file below everybody's tests, whole or broken, so that it is a cheap look which parses nothing and
imports little. What a scenario may say is decided by the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from chatsim.scenario.yaml import BYTES_MAX

SUFFIXES: Final = (".yaml", ".yml")

MARKS: Final = ("name", "duration", "groups", "expect")
"""What every scenario has at its top."""

MARKS_MIN: Final = 3
"""So many of them make a scenario. Two are no more than many a file of other programs has (`name` and `groups`)."""

_BYTES: Final = frozenset(mark.encode() for mark in MARKS)

_TOKEN: Final = re.compile(
    rb"""
    "(?:[^"\\]|\\.)*" | '[^']*'         # a text in quotes
    | (?<!\S)\#[^\n]*                   # a comment
    | [][{},:]                          # what gives a flow mapping its shape
    | [^][{},:"'\s]+ | ["'] | \s+       # a word, a quote that is never closed, space
    """,
    re.VERBOSE | re.DOTALL,
)


def is_scenario(path: Path) -> bool:
    """Whether a file is one, right or wrong; one that cannot be opened is none.

    Of a file that is larger than any scenario its beginning decides, and the reader says what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(BYTES_MAX)
    except OSError:
        return False
    # Few files go beyond this.
    if sum(mark in text for mark in _BYTES) < MARKS_MIN:
        return False
    return len(_BYTES & _keys(text)) >= MARKS_MIN


def _keys(text: bytes) -> set[bytes]:
    """The keys at the top of the first document, and maybe more words that are none."""
    lines = _first_document(text.removeprefix(b"\xef\xbb\xbf").splitlines())
    if not lines:
        return set()
    if lines[0].lstrip().startswith(b"{"):
        return _keys_of_flow(b"\n".join(lines))
    indent = _indent(lines[0])
    top = (line for line in lines if b":" in line and _indent(line) == indent)
    return {line.partition(b":")[0].strip(b" \t\"'") for line in top}


def _first_document(lines: Iterable[bytes]) -> list[bytes]:
    """Its lines with something in them. What follows on other documents is for the reader to refuse."""
    found: list[bytes] = []
    for line in lines:
        begins = line[:3] == b"---" and not line[3:4].strip()
        if found and (begins or line.startswith(b"...")):
            break
        # A document may begin behind its mark, in the same line.
        said = b"   " + line[3:] if begins else line
        bare = said.strip()
        # Directives, and the tag and the anchor of the whole, stand before it.
        ahead = not found and bare.startswith((b"%", b"!", b"&"))
        if bare and not bare.startswith(b"#") and not ahead:
            found.append(said)
    return found


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip())


def _keys_of_flow(text: bytes) -> set[bytes]:
    """The keys within the outermost braces of `{name: x, "groups": [...]}`, as far as it can be followed."""
    found: set[bytes] = set()
    depth, word = 0, b""
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in b"{[":
            depth += 1
        elif token in b"}]":
            depth -= 1
            if depth == 0:
                break
        elif token == b",":
            word = b""
        elif token == b":" and depth == 1:
            found.add(word)
        elif depth == 1 and not token.isspace() and not token.startswith(b"#"):
            word = token.strip(b"\"'")
    return found
