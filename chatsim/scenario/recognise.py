"""Which YAML file is a scenario: the one answer, for folders that are searched and for what pytest finds.

Decides it by the keys at its top: a file with `name`, `groups` and `expect` is one, right or wrong. One that has two of
them, or has all and some of them misspelt, is none, since many a file of other programs has as much, and yet may have
been meant as one: what it lacks can be said. What cannot be read may be one, and is never passed over. Rule: this is
asked of every YAML file below everybody's tests, whole or broken, so that it is a cheap look which parses nothing and
imports little. What a scenario may say is decided by the models.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from chatsim.scenario.yaml import BYTES_MAX

SUFFIXES: Final = (".yaml", ".yml")

MARKS: Final = ("name", "groups", "expect")
"""What makes a file a scenario, at its top."""

NEARLY: Final = 2
"""Who has so many of them may have meant one."""

_ALIKE: Final = 0.75
"""How much of a key is that of a mark which was meant: of a word of four letters, one may be wrong, or two changed."""

_LONGEST: Final = 10
"""Letters of a key that may be meant as one of them."""

_LOCK: Final = ".#"
"""What the name of an editor's lock begins with, which is a link to nothing beside the file that is being edited."""

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


def is_there(path: Path) -> bool:
    """Whether a name in a folder is that of a file, or of what cannot be looked at: what is wrong with that is for the
    reader to say."""
    return leads_nowhere(path) or path.is_file()


def leads_nowhere(path: Path) -> bool:
    """Whether a name in a folder is that of a link to nothing, or of what cannot be looked at."""
    try:
        path.stat()
    except FileNotFoundError:
        return path.is_symlink() and not path.name.startswith(_LOCK)
    except OSError:
        return True
    return False


class Look(NamedTuple):
    """What a file is taken for: a scenario, right or wrong; or, by what it `lacks`, one that may have been meant as a
    scenario (`has name and groups, but no expect`); or neither."""

    is_scenario: bool
    lacks: str = ""


def look_at(path: Path) -> Look:
    """Whether a file is one. Of a file that is larger than any scenario its beginning decides; of that, and of what
    cannot be read, the reader says what is wrong."""
    try:
        with path.open("rb") as file:
            text = file.read(BYTES_MAX)
    except OSError:
        return Look(is_scenario=True)
    if text.startswith(_UTF_16):
        # As some shells write what is sent to a file: the reader says what is wrong with it.
        text = text.decode("utf-16", "ignore").encode()
    # Many files go no further than this; whoever has groups has a name somewhere, whatever else is misspelt.
    if not any(mark in text for mark in _BYTES.values()):
        return Look(is_scenario=False)
    keys = _keys(text)
    marks = [mark for mark, written in _BYTES.items() if written in keys]
    if len(marks) == len(MARKS):
        return Look(is_scenario=True)
    meant = _meant([mark for mark in MARKS if mark not in marks], keys)
    if len(marks) < NEARLY and len(marks) + len(meant) < len(MARKS):
        return Look(is_scenario=False)
    return Look(is_scenario=False, lacks=_lacking(marks, meant))


def _meant(marks: Iterable[str], keys: Collection[bytes]) -> dict[str, str]:
    """The key that each of these marks is misspelt as, where there is one."""
    # Words only, and as long, or nearly: a file of another program may have very many keys.
    written = [key.decode(errors="ignore") for key in keys if len(key) <= _LONGEST]
    folded = {word.lower(): word for word in sorted(written) if word.isidentifier()}
    found: dict[str, str] = {}
    for mark in marks:
        near = difflib.get_close_matches(mark, folded, n=1, cutoff=_ALIKE)
        if near:
            found[mark] = folded[near[0]]
    return found


def _lacking(marks: Collection[str], meant: Mapping[str, str]) -> str:
    """`has name and groups, but no expect`, of a file with these marks and those that are misspelt."""
    lacks = [
        f"{meant[mark]} where a scenario has {mark}" if mark in meant else f"no {mark}"
        for mark in MARKS
        if mark not in marks
    ]
    *first, last = lacks
    told = f"{', '.join(first)} and {last}" if first else last
    return f"has {' and '.join(marks)}, but {told}" if marks else f"has {told}"


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
