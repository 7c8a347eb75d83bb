"""What is measured of a run: what lies between warm-up and end, exactly, and nothing of a run that is not valid."""

from __future__ import annotations

from typing import Any

import pytest

from chatsim.core.effects import Send
from chatsim.core.frames import Error, encode
from chatsim.errors import HarnessError
from chatsim.runner.measuring import TLS_BYTES, Broke, Egress, Failed, attempt, measure
from chatsim.runner.replication import seed_of
from chatsim.scenario.expectations import parse_expectation
from chatsim.scenario.model import Scenario
from chatsim.verdict.invariants.catalogue import Violation
from tests.sim.worlds import scenario

TARGET = parse_expectation("p99(delivery_latency) <= 100ms")
COSTS = {
    "frame": "2ms",
    "recipient": "1ms",
    "write": "0us",
    "append": "0us",
    "verify": "0us",
    "ping": "0us",
    "tls_handshake": "0us",
}


def pair(**words: Any) -> Scenario:
    """Two people, one message a second each."""
    made: dict[str, Any] = {
        "group": {"users": 2, "session_size": 2, "messages": {"arrivals": "periodic", "rate": "1/s"}},
        "duration": "30s",
        "warmup": "10s",
        "costs": COSTS,
    }
    return scenario(**made | words)


def test_it_is_the_run_of_its_seed_and_measures_what_lies_after_the_warm_up() -> None:
    made = measure(pair(), TARGET, 0)
    assert (made.users, made.seed) == (2, pair().seed)
    assert measure(pair(), TARGET, 3).seed == seed_of(pair().seed, 3)
    assert made.messages == pytest.approx(2.0)
    assert made.deliveries == pytest.approx(2.0)
    # Each message is a frame of 2 ms with an ack and one delivery, and the receiver's ack a frame with a notice.
    assert made.busy == pytest.approx(2 * (0.002 + 2 * 0.001 + 0.002 + 0.001), rel=0.05)
    assert made.works * made.work_s == pytest.approx(made.busy)
    assert made.square_s2 >= made.work_s**2
    assert made.observed == made.p99_s
    assert made.log_busy == 0.0


def test_a_node_is_met_anywhere_between_two_pauses_of_its_collector() -> None:
    """40 messages are sent after the warm-up, and at every hundredth the collector pauses: in four runs of ten."""
    collecting = pair(costs=COSTS | {"collect": {"every": 100, "pauses": ["3s"]}})
    busy = [measure(collecting, TARGET, number).busy for number in range(40)]
    usual = measure(pair(), TARGET, 0).busy
    paused = sum(share > usual + 0.05 for share in busy)
    # Of 40 drawn with p = 0.4 there are so few, or so many, once in 10,000 times (binomial).
    assert 5 <= paused <= 28
    assert measure(collecting, TARGET, 7) == measure(collecting, TARGET, 7)


def test_a_log_that_commits_is_busy_for_its_commits() -> None:
    made = measure(pair(log={"store": "sqlite"}, costs=COSTS | {"commit": "50ms"}), TARGET, 0)
    # Two commits a second, fewer where two messages share one.
    assert 0.04 <= made.log_busy <= 0.101


def test_equal_numbers_are_equal_runs() -> None:
    assert measure(pair(), TARGET, 1) == measure(pair(), TARGET, 1)
    assert measure(pair(), TARGET, 1) != measure(pair(), TARGET, 2)


def test_egress_counts_the_frames_that_leave_in_its_time() -> None:
    heard = Egress(1.0, 2.0, tls=True)
    plain = Egress(1.0, 2.0, tls=False)
    frame = Error(code="rate_limited", message="not so fast")
    for now in (0.5, 1.0, 1.5, 2.0):
        for each in (heard, plain):
            each.step(now, "receive", (), (Send(("c1", "c2"), frame),))
    size = len(encode(frame)) + 2
    assert plain.bytes == 2 * 2 * size
    assert heard.bytes == 2 * 2 * (size + TLS_BYTES)


def test_who_is_not_let_in_makes_no_load() -> None:
    shut = pair(handler={"connections_max": 1}, group={"users": 2, "session_size": 2, "reconnect": False})
    with pytest.raises(HarnessError, match="of 2 connections at a time: let people arrive"):
        measure(shut, TARGET, 0)
    made = attempt(shut, TARGET, 0)
    assert isinstance(made, Failed)
    assert "let people arrive" in made


def said(made: object) -> str:
    """Why there is no measurement."""
    assert isinstance(made, Failed)
    return made


def test_a_handler_that_breaks_what_must_hold_makes_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Violation("seq", 3.0, "s has 4 after 2.")
    monkeypatch.setattr("chatsim.verdict.invariants.watch.Watch.finish", lambda *_, **__: [broken])
    found = attempt(pair(), TARGET, 0)
    assert isinstance(found, Broke)
    assert f"invariants do not hold: {broken}" in found


def test_a_fault_that_strikes_nobody_makes_no_load() -> None:
    vain = pair(events=[{"at": "1ms", "do": "drop", "share": "100%"}], group={"arrive_over": "5s"})
    assert "touched nobody" in said(attempt(vain, TARGET, 0))
