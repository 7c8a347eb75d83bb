"""How far something is, for who waits for it at a terminal or in a notebook.

Rule: it is shown on stderr or as a widget, gone when it is done, and nowhere at all where nobody looks (a file, a
pipe).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def bar(what: str, *, shown: bool = True, console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar for as long as this lasts, `shown` or not; it is told how many of `what` are done, and of how many (0: that
    is not known)."""
    console = console or Console(stderr=True, highlight=False)
    seen = shown and (console.is_terminal or console.is_jupyter)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not seen) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total or None)
