"""Which YAML file is a scenario: the one answer, for folders that are searched and for what pytest finds.

Decides it by the keys at its top: a file with `name`, `groups` and `expect` is one, right or wrong. One that has two of
them is none, since many a file of other programs has as much, and yet may have been meant as one: what it lacks can be
said. Rule: this is asked of every YAML file below everybody's tests, whole or broken, so that it is a cheap look which
parses nothing and imports little. What a scenario may say is decided by the models.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from chatsim.scenario.yaml import BYTES_MAX

SUFFIXES: Final = (".yaml", ".yml")

MARKS: Final = ("name", "groups", "expect")
"""What makes a file a scenario, at its top."""

NEARLY: Final = 2
"""Who has so many of them may have meant one."""

_BYTES: Final = {mark: mark.encode() for mark in MARKS}

_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
"""What a text begins with that is not in UTF-8."""

_TOKEN: Final = re.compile(
    rb"""
    "(?:[^"\\]|\\.)*" | '[^']*'         # a text in quotes
    | (?<!\S)\#[^\n]*                   # a comment
    | [][{},:]                          # what gives a flow mapping its shape
    | [^][{},:"'\s]+ | ["'] | \s+       # a word, a quote that is never closed, space
    """,
    re.VERBOSE | re.DOTALL,
)


def is_yaml(path: Path) -> bool:
    """Whether a file calls itself YAML, in small letters or in capitals."""
    return path.suffix.lower() in SUFFIXES


def is_scenario(path: Path) -> bool:
    """Whether a file is one, right or wrong."""
    return marks_of(path) == MARKS


def marks_of(path: Path) -> tuple[str, ...]:
    """Which of `MARKS` a file has, in their order; none of them where it cannot be opened.

    Where it has too few for anybody to ask further it may be none of them, too. Of a file that is larger than any
    scenario its beginning decides, and the reader says what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(BYTES_MAX)
    except OSError:
        return ()
    if text.startswith(_UTF_16):
        # As some shells write what is sent to a file: the reader says what is wrong with it.
        text = text.decode("utf-16", "ignore").encode()
    # Few files go beyond this.
    if sum(mark in text for mark in _BYTES.values()) < NEARLY:
        return ()
    keys = _keys(text)
    return tuple(mark for mark, written in _BYTES.items() if written in keys)


def lacking(marks: Collection[str]) -> str:
    """`has name and groups, but no expect`, of a file with these marks; nothing of a scenario, and of what is not meant
    as one."""
    if not NEARLY <= len(marks) < len(MARKS):
        return ""
    (lacks,) = (mark for mark in MARKS if mark not in marks)
    return f"has {' and '.join(marks)}, but no {lacks}"


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
