"""The command `chatsim`: puts the command groups together and turns what they raise into a sentence and an exit code.

Rule: whatever happens, the person gets one sentence on stderr and one of the exit codes 0, 1, 2, 3, 4 and 130, never a
traceback (CHATSIM_DEBUG=1 shows it). What a command does stands in the module of its group.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from io import FileIO, TextIOWrapper
from typing import Annotated, Any

import typer

from chatsim.cli import (
    baselining,
    calibrating,
    capacity,
    chatting,
    completing,
    exploring,
    helping,
    looking,
    reading,
    replicating,
    reporting,
    requiring,
    running,
    serving,
    sweeping,
    tokens,
    validating,
)
from chatsim.cli.doors import REAL, Doors
from chatsim.cli.execute import BROKEN, INTERRUPTED, PASSED, USAGE
from chatsim.cli.findings import STOPPED, Reports, unread
from chatsim.cli.output import emit, say
from chatsim.cli.version import __version__
from chatsim.errors import ChatsimError
from chatsim.runner.interrupts import ends_as_interrupted, let_through


def build(doors: Doors) -> typer.Typer:
    """The application with all its commands, which call these doors."""
    app = helping.make_app()

    @app.callback()
    def chatsim(
        context: typer.Context,
        version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    ) -> None:
        """One chat handler, simulated and served: run scenarios in simulation, on real sockets, or on the server at a
        URL, and judge them."""
        if version:
            emit(__version__)
            raise typer.Exit(PASSED)
        if context.invoked_subcommand is None:
            say(context.get_help())
            raise typer.Exit(USAGE)

    reading.add(app, doors)
    running.add(app, doors)
    looking.add(app)
    exploring.add(app)
    baselining.add(app, doors)
    replicating.add(app)
    sweeping.add(app)
    reporting.add(app)
    requiring.add(app, doors)
    calibrating.add(app)
    capacity.add(app)
    validating.add(app)
    serving.add(app)
    tokens.add(app)
    chatting.add(app)
    completing.add(app)
    return app


def main(argv: Sequence[str], doors: Doors = REAL) -> int:
    """Run one command line (without the program's name) and return the exit code."""
    with ends_as_interrupted():
        return _main(argv, doors)


def _main(argv: Sequence[str], doors: Doors) -> int:
    begun = Reports.begun
    try:
        let_through()
        command = typer.main.get_command(build(doors))
        code = command.main(args=list(argv), prog_name="chatsim", standalone_mode=False)
    except ChatsimError as error:
        return _refuse(str(error), error.exit_code, error)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        sentence = getattr(error, "format_message", None)
        if callable(sentence):
            why = f"{sentence()} (chatsim --help shows what there is)"
            unread(getattr(error, "ctx", None), argv, why)
            return _refuse(why, USAGE, error)
        return _refuse(f"something broke that should not: {type(error).__name__}: {error}", BROKEN, error)
    if code == INTERRUPTED:
        say("chatsim: interrupted")
        if Reports.begun == begun:
            # Else it stands in them already.
            unread(_context(typer.main.get_command(build(doors)), argv), argv, STOPPED)
    return code if isinstance(code, int) else PASSED


def _context(command: Any, argv: Sequence[str]) -> Any:
    """The context of the innermost command that a line begins with, as far as one is named."""
    context = command.make_context("chatsim", [], resilient_parsing=True)
    for word in argv:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        context = command.make_context(word, [], parent=context, resilient_parsing=True)
    return context


def entry() -> None:
    """The installed command."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A name that this terminal cannot show is shown escaped: it must not cost the result.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:
        # Another Ctrl-C while the first was answered.
        code = INTERRUPTED
    # All is said: whatever is still cleaned up, Ctrl-C ends it without a word.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # After `-m`, Python ends itself by SIGINT, and not with this code, where the last text that was evaluated was
    # interrupted (libraries evaluate one for each named tuple): let the last one be another.
    exec("")
    sys.exit(code)


def _open_what_is_closed() -> None:
    """Let a stream that a shell has closed (`>&-`) go to nowhere: Python has none then, and the next file that is
    opened would have its number, and get what is written there."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free.
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or TextIOWrapper(FileIO(1, "w"), encoding="utf-8")
    sys.stderr = sys.stderr or TextIOWrapper(FileIO(2, "w"), encoding="utf-8")


def _refuse(sentence: str, code: int, error: BaseException) -> int:
    """Say why, with the traceback for whoever asked for it."""
    if os.environ.get("CHATSIM_DEBUG") == "1":
        say("".join(traceback.format_exception(error)).rstrip())
    say(f"chatsim: {sentence}")
    return code
