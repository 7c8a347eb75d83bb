"""Fixtures for people's own tests: a live server, a simulation, and a handler with manual time.

Rule: each is a function that a test calls with what it wants, so that one test may have several; settings are the words
of `handler:` in a scenario file. Whatever is heavy is imported when a test asks for it. What they give stands in
`chatsim.live.hosted`, `chatsim.runner.desk` and `chatsim.testing.clocked`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from chatsim.analysis.results import Run
    from chatsim.core.config import HandlerConfig
    from chatsim.live.hosted import Hosted
    from chatsim.testing.clocked import ClockedHandler


@pytest.fixture
def chat_server() -> Iterator[Callable[..., Hosted]]:
    """Starts a live server on a free port of loopback: `server = chat_server(rate_limit="5/min")`.

    Its `url` is for `chatsim.connect`, `token("ann", "lobby")` makes a token, `http` and `admin_key` are for its
    routes; `tls=True` serves over TLS (`ca`, `trust`). It runs in a thread of its own, so that plain and async tests
    talk to it alike, and ends with the test. A drain takes no time, unless `drain_window` says otherwise.
    """
    from chatsim.live.hosted import hosted

    with ExitStack() as stack:

        def start(*, tls: bool = False, **handler: Any) -> Hosted:
            return stack.enter_context(hosted(_config({"drain_window": "0s"} | handler), tls=tls))

        yield start


@pytest.fixture
def chat_sim() -> Callable[..., Run]:
    """Plays a scenario in virtual time: `run = chat_sim("steady", {"groups.people.users": 20})`, then `assert run.ok`.

    It is a shipped name, a file or the words of one, with changes by their paths; `on="virtual"` plays the asyncio
    server, `seed` replaces its seed. The run has tables (`run.messages`) and a `repr` with every verdict.
    """
    from chatsim.runner import desk

    def play(
        scenario: desk.Played,
        changes: Mapping[str, Any] | None = None,
        *,
        on: str = "sim",
        seed: int | None = None,
        out: str | Path | None = None,
    ) -> Run:
        loaded = desk.load(scenario)
        return desk.simulate(loaded.with_(changes) if changes else loaded, on=on, seed=seed, out=out)

    return play


@pytest.fixture
def chat_clock() -> Callable[..., ClockedHandler]:
    """Makes a handler with manual time: `chat = chat_clock(ping_interval="30s")`, `chat.arrive("ann", "bob")`,
    `chat.say("ann", "hello")`, `chat.advance(30)`, `chat.heard("bob", frames.Message)`.

    `seed` is that of its dice.
    """
    from chatsim.testing.clocked import ClockedHandler

    def make(*, seed: int = 1, **handler: Any) -> ClockedHandler:
        return ClockedHandler(_config(handler), seed=seed)

    return make


def _config(words: Mapping[str, Any]) -> HandlerConfig:
    """The configuration in the words of `handler:`. Raises UsageError with the nearest word."""
    from chatsim.scenario.handler import handler_config

    return handler_config(words)
