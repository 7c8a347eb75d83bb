"""The commands that only read: `lint`, `schema`, `openapi` and `asyncapi`.

Rule: nothing is run, and nothing heavy is imported. What is wrong with a file is the scenario reader's to say.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from chatsim.cli import options
from chatsim.cli.doors import Doors
from chatsim.cli.execute import PASSED, USAGE
from chatsim.cli.findings import annotate, on_github
from chatsim.cli.output import emit, emit_document, say
from chatsim.errors import UsageError

if TYPE_CHECKING:
    from chatsim.scenario.load import Notice


def add(app: typer.Typer, doors: Doors) -> None:
    """Hang the commands into the application."""

    @app.command()
    def lint(paths: options.Paths = None) -> None:
        """Print every error of every scenario file, and run nothing."""
        notices: list[Notice] = []
        scenarios, problems = doors.load(options.paths(paths, "lint"), notices.append)
        if notices and on_github(os.environ):
            from chatsim.findings.finding import Findings

            annotate(Findings([]), notices, os.environ)
        for problem in problems:
            emit(str(problem))
        if not scenarios and not problems:
            raise UsageError("nothing to lint: no scenario file (*.yaml) was found there; name one that exists")
        say(f"{_count(len(scenarios), 'good scenario')}, {_count(len(problems), 'error')}")
        raise typer.Exit(USAGE if problems else PASSED)

    @app.command()
    def schema() -> None:
        """Print the JSON Schema of scenario files (editors complete and check with it)."""
        from chatsim.scenario.schema import schema as build

        emit_document(build())

    @app.command()
    def openapi() -> None:
        """Print the OpenAPI document of the HTTP routes."""
        from chatsim.live.openapi import document

        emit_document(document())

    @app.command()
    def asyncapi() -> None:
        """Print the WebSocket protocol as an AsyncAPI 3 document, in JSON."""
        from chatsim.live.asyncapi import document

        emit_document(document())


def _count(number: int, word: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
