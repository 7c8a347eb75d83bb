"""The command that plays something again, as a person in this folder would type it.

Decides what stands in that line: the scenario's file seen from here, the changes that were made to its words, wire and
seed. Rule: who executes it sees the same once more; what has to be done before stands behind it as a comment of the
shell; and no path of this machine is in it, but that of a file that was named from elsewhere and has none from here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from os.path import realpath, relpath
from pathlib import Path
from typing import Any, Final

import msgspec

from chatsim.scenario.changes import set_options
from chatsim.scenario.load import shipped_name
from chatsim.scenario.model import Scenario

SAVED: Final = "scenario"
"""What a scenario is called in Python in that line, and where it has no better name in its file."""

WIDTH: Final = 80
"""Columns of a terminal that everybody has."""


class Source(msgspec.Struct, frozen=True):
    """Where a scenario is to be had: its `file` (None: it stands in none), `changes` of the words that stand there, by
    their paths, and its `name`. A relative file was named in the working directory `seen_from` (None: the one that is
    now)."""

    name: str
    file: str | None = None
    changes: Mapping[str, Any] = {}
    seen_from: Path | None = None

    @classmethod
    def of(cls, scenario: Scenario) -> Source:
        """That of a scenario that was loaded, or made of words."""
        if scenario.path is None or scenario.changes is None:
            return cls(scenario.name)
        return cls(scenario.name, f"{scenario.path}", scenario.changes, scenario.seen_from)

    @classmethod
    def at(cls, name: str, path: Path) -> Source:
        """That of a file as it is named here and now."""
        return cls(name, f"{path}", seen_from=None if path.is_absolute() else Path.cwd())

    def saved(self) -> Source:
        """That of the same scenario where its changes cannot be said, so that it has to be saved."""
        return Source(self.name) if self.changes else self


def command(
    verb: str, sources: Sequence[Source], *words: str, seed: int, called: Sequence[str] = (SAVED,)
) -> list[str]:
    """The line in parts that belong together, each quoted for a shell: the verb with its files, options, the changes of
    the last of the `sources`, the seed, and a comment where there is something to be done before.

    `called` is what each scenario is called in Python, which is the name of its file where several have to be saved.
    """
    files, before = [], []
    for source, name in zip(sources, called, strict=True):
        if source.file is None:
            file = f"{source.name if len(sources) == 1 else name}.yaml"
            # Loaded first, for it may be the words of one that were played.
            before.append(f"after cs.load({name}).save({json.dumps(file)})")
        else:
            file, there = _seen_from_here(Path(source.file), source.seen_from)
            before += [] if there else [f"in the folder of {json.dumps(file)}"]
        files.append(as_word(file))
    changes = set_options(sources[-1].changes)
    pairs = [shlex.join(changes[at : at + 2]) for at in range(0, len(changes), 2)]
    comment = [f" # {' and '.join(before)}"] if before else []
    first = shlex.join(["chatsim", verb, *files[:1]])
    return [first, *map(shlex.quote, files[1:]), *words, *pairs, f"--seed {seed}", *comment]


def as_word(file: str) -> str:
    """A file as it stands on a command line, where a dash before its name would make an option of it."""
    return f"./{file}" if file.startswith("-") else file


def folded(parts: Sequence[str], width: int = WIDTH) -> list[str]:
    """The same command in lines of at most `width` columns, as a shell takes them; a part is broken only between the
    items of a mapping or a list, where YAML takes the end of a line for a blank."""
    lines = [parts[0]]
    for part in parts[1:]:
        # A backslash has to find room behind it.
        if len(lines[-1]) + 1 + len(part) + 2 > width:
            lines[-1] += " \\"
            lines += _broken(f"{_INDENT}{part.strip()}", width - 2)
        else:
            lines[-1] += f" {part}"
    return lines


_INDENT: Final = 4 * " "

_ITEM: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])*(?:, |$)')
"""What stands between two commas of a line of JSON."""


def _broken(line: str, width: int) -> list[str]:
    """A part of a command in lines of that width, as far as it has places to be broken at."""
    words = shlex.split(line)
    if len(line) <= width or words[:1] != ["--set"]:
        return [line]
    path, _, value = words[1].partition("=")
    if value[:1] not in ("{", "["):
        return [line]
    told = [f"{path}="]
    for item in filter(None, _ITEM.findall(value)):
        longer = told[-1] + item
        # What a shell has to be told otherwise takes more room.
        room = width - (len(f"{_INDENT}--set ") if len(told) == 1 else 0)
        if len(shlex.quote(longer.rstrip())) > room and told[-1] != f"{path}=":
            told[-1] = told[-1].rstrip()
            told.append(f"{_INDENT}{item}")
        else:
            told[-1] = longer
    joined = "\n".join(told)
    return f"{_INDENT}--set {shlex.quote(joined)}".split("\n")


def _seen_from_here(path: Path, seen_from: Path | None) -> tuple[str, bool]:
    """The path from the working directory or the folder above it, or the name of a shipped one; elsewhere the bare
    name, and that it is not to be found by it. A relative one leads there as it is, or from here."""
    if not path.is_absolute():
        return (path if seen_from is None else _led_to(path, seen_from)).as_posix(), True
    here = Path.cwd()
    for base, up in ((here, ""), (here.parent, "../")):
        # What lies below the root alone has nothing in common with here.
        if len(base.parts) > 1 and path.is_relative_to(base):
            return up + path.relative_to(base).as_posix(), True
    name = shipped_name(path)
    return (path.name, False) if name is None else (name, True)


def _led_to(path: Path, seen_from: Path) -> Path:
    """The path that leads from here to where this one led from there; an absolute one where only the root is common."""
    here = Path.cwd()
    if here == seen_from:
        return path
    there = Path(realpath((seen_from / path).parent), path.name)
    apart = there.parts[:2] != here.parts[:2]
    return there if apart else Path(relpath(there, here))
