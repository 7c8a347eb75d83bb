"""What people and programs read: the result on stdout, the log and the progress on stderr.

Rule: stdout carries the result and nothing else, and a reader that went away is no failure: the command goes on to its
own exit code. Which result there is, is decided elsewhere, and how numbers look is too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chatsim.store.document import encode

COLUMNS: Final = ("scenario", "wire", "expectation", "observed", "limit", "verdict")
STYLES: Final = {
    "pass": "green",
    "fail": "bold red",
    "inconclusive": "yellow",
    "skipped": "cyan",
    "invalid": "bold magenta",
}

_PIPE_WIDTH: Final = 180
"""Columns of a table that goes into a file or a pipe: wide enough that no line is folded in practice."""

_COLUMN_MAX: Final = 60
"""Up to how many letters a column of one table is as wide as the same one of another."""


def emit(text: str) -> None:
    """Write to stdout, at once and with a final newline."""
    _write(sys.stdout, text)


def say(text: str) -> None:
    """Write to stderr, at once and with a final newline."""
    _write(sys.stderr, text)


def emit_document(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout."""
    emit(encode(document))


def emit_table(rows: Iterable[tuple[str, str, str, str, str, str]]) -> None:
    """Write one table to stdout, a row for each expectation; its last value, the verdict, is coloured."""
    emit_columns(COLUMNS, rows, right=("observed", "limit"))


def emit_columns(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[str] = ()) -> None:
    """Write one table to stdout, numbers to the `right`; a verdict in the last column is coloured."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    _print(_console(), table, rows)


def emit_groups(groups: Sequence[tuple[str, Sequence[Sequence[str]]]], *, right: Collection[int] = ()) -> None:
    """Write several tables of one shape to stdout, each indented under its title, and their columns below each other
    where there is room; numbers of columns to the `right`, and a verdict in the last, as `emit_columns` has it."""
    console = _console()
    columns = zip(*(row for _, rows in groups for row in rows), strict=True)
    widths = [min(max(map(len, cells)), _COLUMN_MAX) for cells in columns]
    roomy = sum(widths) + 2 * len(widths) < console.width
    for title, rows in groups:
        table = Table(box=None, pad_edge=False, show_header=False)
        for place, width in enumerate(widths):
            justify: Literal["left", "right"] = "right" if place in right else "left"
            table.add_column(justify=justify, overflow="fold", min_width=width if roomy else None)
        emit(title)
        if rows:
            _print(console, table, rows, indent=2)


def _console() -> Console:
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)


def _print(console: Console, table: Table, rows: Iterable[Sequence[str]], indent: int = 0) -> None:
    for row in rows:
        style = STYLES.get(row[-1].partition(" ")[0], "")
        # As they are: rich would find markup in them.
        table.add_row(*map(Text, row[:-1]), Text(row[-1], style))
    with console.capture() as captured:
        console.print(Padding.indent(table, indent) if indent else table)
    emit("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def _write(stream: TextIO, text: str) -> None:
    """Write and flush; when nobody reads any more, send the rest of the stream to nowhere."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
