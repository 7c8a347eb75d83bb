"""Small scenarios to play, and ways to look at what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from chatsim.core.effects import Close, Send
from chatsim.core.frames import Error
from chatsim.journal.record import RunRecord
from chatsim.journal.steps import Step, read
from chatsim.scenario.model import Scenario
from chatsim.sim.run import Simulated, simulate
from chatsim.verdict.metrics import Metrics, counters

LATENCY_S = 0.005
FREE = dict.fromkeys(("frame", "verify", "tls_handshake", "recipient", "write", "append", "ping"), "0s")
"""Costs of nothing, to be mixed with what a test is about."""


def scenario(
    *events: Mapping[str, Any], group: Mapping[str, Any] | None = None, duration: str = "2min", **words: Any
) -> Scenario:
    """Four people in two conversations who write every five seconds, 5 ms away from a free node."""
    people: dict[str, Any] = {
        "name": "g",
        "users": 4,
        "session_size": 2,
        "messages": {"arrivals": "periodic", "rate": "12/min"},
        "network": {"latency": {"constant": "5ms"}},
    }
    head: dict[str, Any] = {"name": "s", "duration": duration, "costs": 0, "expect": ["lost == 0"]}
    return Scenario.of(head | {"groups": [people | dict(group or {})], "events": list(events)} | words)


def play(*events: Mapping[str, Any], **words: Any) -> RunRecord:
    """What happened in such a scenario."""
    return simulate(scenario(*events, **words)).record


@lru_cache(maxsize=1)
def quiet_run() -> Simulated:
    """The run in which nothing goes wrong, played once for all who compare with it."""
    return simulate(scenario())


def counted(record: RunRecord) -> dict[str, int]:
    """Its counters."""
    return counters(record)


def worst(record: RunRecord, metric: str) -> float:
    """The largest value of a metric (s)."""
    return Metrics(record).aggregate("max", metric)


def steps(tmp_path: Path, *events: Mapping[str, Any], **words: Any) -> tuple[RunRecord, list[Step]]:
    """What happened, and every input of the node with its effects."""
    path = tmp_path / "journal.jsonl"
    record = simulate(scenario(*events, **words), journal=path).record
    return record, list(read(path))


def closes(found: Sequence[Step]) -> list[tuple[float, int]]:
    """Moment (s) and code of every close that the node ordered."""
    return [(step.now, effect.code) for step in found for effect in step.effects if isinstance(effect, Close)]


def errors(found: Sequence[Step]) -> list[tuple[float, str]]:
    """Moment (s) and code of every error frame that the node sent."""
    sent = [(step.now, effect.message) for step in found for effect in step.effects if isinstance(effect, Send)]
    return [(now, message.code) for now, message in sent if isinstance(message, Error)]


def everyone_has_everything_once(record: RunRecord) -> bool:
    """Whether each message meant to be sent was accepted, and reached every receiver, once and in order."""
    found = counters(record)
    return (
        found["accepted"] == found["sent"] > 0
        and found["delivered"] == sum(map(len, record.owed.values())) > 0
        and all(set(record.receipts[id_]) == set(owed) for id_, owed in record.owed.items())
        and not found["lost"] + found["undelivered"] + found["duplicates"] + found["out_of_order"]
    )
