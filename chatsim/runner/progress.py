"""How far something is, for who waits for it at a terminal or in a notebook.

Rule: it is shown on stderr or as a widget, gone when it is done, and nowhere at all where nobody looks (a file, a
pipe). A notebook without ipywidgets has a line in its place, which stays: nobody is told to install something.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def bar(what: str, *, shown: bool = True, console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar for as long as this lasts, `shown` or not; it is told how many of `what` are done, and of how many (0: that
    is not known)."""
    console = console or Console(stderr=True, highlight=False)
    if shown and console.is_jupyter and not _has_widgets():
        yield _Line(what, import_module("IPython.display").display).told
        return
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


def _has_widgets() -> bool:
    """Whether rich can show its bar in a notebook."""
    try:
        import_module("ipywidgets")
    except ImportError:
        return False
    return True


class _Line:
    """A line of a notebook that is written over; it appears with the first that is told. `display` is IPython's."""

    def __init__(self, what: str, display: Callable[..., Any]) -> None:
        self._what = what
        self._display = display
        self._shown = ""
        self._handle: Any = None

    def told(self, done: int, total: int) -> None:
        """So many are done, of so many."""
        # As often as there is something new to be read in it: a notebook keeps every line for a while.
        text = f"{self._what}: {100 * done // total} % of {total}" if total else f"{self._what}: {done}"
        if text == self._shown:
            return
        self._shown, shown = text, {"text/plain": text}
        if self._handle is None:
            self._handle = self._display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
