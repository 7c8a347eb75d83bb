"""Simulation and the virtual wire agree: who is sent what, in which order and at which moment, to the last bit.

Where the node's work costs nothing, and the seed is the same, only this may differ:

- A reader with less bandwidth than is said to her. In simulation all that she has not read waits at the node; a real
  one, and so the virtual, fills what a kernel holds first (`HELD_BYTES_MAX` of the link, `WRITE_HIGH_BYTES` of the
  transport), so that the node hears of her later, and she reads on for a while after the node has let go of her. From
  the first pressure on the two runs are two runs; before it they are the same.
- Moments, where a network has a bandwidth at all: the simulation weighs each flight of a handshake, and a renewal, at
  600 bytes; on a wire they are as long as they are.
- Over 32 notices of delivery in 50 ms, where latencies vary: a wire lets such notices wait for company, and what is
  drawn for one may then hold up the frame behind it. One of these scenarios has so many, and is compared without them.
- A node that drains for longer than 26 s: a process keeps four of the protocol's 30 s for its own end.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from chatsim.core.effects import Close
from chatsim.journal.replay import replay
from chatsim.journal.steps import read
from chatsim.scenario.costs import free
from chatsim.scenario.load import discover, load
from chatsim.scenario.model import Scenario
from chatsim.sim.run import simulate
from chatsim.verdict.judge import judge
from chatsim.verdict.metrics import counters
from chatsim.verdict.trace import Trace, differences, trace_of
from chatsim.virtual.run import run_virtual

SHIPPED = {path.stem: path for path in discover([])}
SMALLER = {"flash-crowd"}
"""Played as `live:` would have them, with fewer people; whole they are played by continuous integration."""

MORE = {
    "lossy": """
name: lossy
duration: 1min
groups:
  - name: g
    users: 12
    session_size: 3
    connections_per_user: 2
    arrive_over: 5s
    typing: true
    presence: true
    heartbeat: 7s
    messages: {arrivals: poisson, rate: 20/min}
    network: {latency: {lognormal: {median: 15ms, p99: 45ms}}, loss: 2%}
events:
  - {at: 20s, do: freeze, count: 2, for: 12s}
  - {at: 25s, do: latency, factor: 20, for: 10s, share: 50%}
  - {at: 30s, do: partition, count: 3, for: 6s}
  - {at: 35s, do: loss, rate: 20%, for: 10s, share: 50%}
  - {at: 40s, do: withhold_acks, count: 4, for: 10s}
  - {at: 45s, do: vanish, count: 2, for: 5s}
expect: [lost == 0]
""",
    "unruly": """
name: unruly
duration: 1min
groups:
  - name: g
    users: 8
    session_size: 4
    messages: {arrivals: poisson, rate: 10/min}
    network: {latency: {exponential: {mean: 20ms}}}
events:
  - {at: 20s, do: flood, count: 1, rate: 20/s, for: 10s}
  - {at: 25s, do: bad_frames, count: 2, rate: 2/s, for: 10s}
  - {at: 40s, do: clock_jump, by: -900ms}
  - {at: 45s, do: arrive, users: 3}
expect: [lost == 0]
""",
    "few-are-let-in": """
name: few-are-let-in
duration: 1min
handler: {accept_rate: 6/min, resume_rate: 1000/min}
groups:
  - name: g
    users: 6
    session_size: 3
    messages: {arrivals: poisson, rate: 20/min}
    network: {latency: {constant: 15ms}}
events:
  - {at: 40s, do: crash_node, down: 1s}
expect: [lost == 0]
""",
    "tokens": """
name: tokens
duration: 1min
groups:
  - name: g
    users: 8
    session_size: 4
    connections_per_user: 2
    token_ttl: 30s
    messages: {arrivals: poisson, rate: 20/min}
    network: {latency: {exponential: {mean: 20ms}}}
  - {name: banned, users: 2, credentials: revoked, reconnect: false}
events:
  - {at: 12s, do: drop, count: 2}
  - {at: 12700ms, do: revoke, count: 2}
  - {at: 20s, do: expire_tokens, count: 3}
  - {at: 30s, do: refresh_token, token: revoked, count: 1}
  - {at: 31s, do: refresh_token, token: foreign, count: 1}
  - {at: 32s, do: refresh_token, token: expired, count: 1}
  - {at: 33s, do: refresh_token, token: good, count: 1}
  - {at: 40s, do: crash_node, down: 2s}
  - {at: 40100ms, do: vanish, for: 10s, count: 1}
  - {at: 44s, do: revoke, of: user, count: 1}
expect: [lost == 0]
""",
    "drain-cut-off": """
name: drain-cut-off
duration: 1min
groups:
  - name: g
    users: 9
    session_size: 3
    arrive_over: 5s
    typing: true
    messages: {arrivals: poisson, rate: 20/min}
    network: {latency: {lognormal: {median: 15ms, p99: 45ms}}}
events:
  - {at: 20s, do: restart_node, down: 5s}
  - {at: 20400ms, do: crash_node, down: 2s}
  - {at: 40s, do: drain_node}
  - {at: 40500ms, do: crash_node, down: 1s}
expect: [lost == 0, count(drain_time) == 0]
""",
}
"""Beside the shipped ones: what they leave out."""


def free_of_costs(path: Path) -> Scenario:
    """The scenario, on a node whose work takes no time."""
    scenario = load(path)
    if path.stem in SMALLER:
        scenario = scenario.with_live_overrides()
    return scenario.model_copy(update={"costs": free()})


def both(tmp_path: Path, scenario: Scenario, *, but: Collection[str] = ()) -> tuple[Trace, Trace]:
    """The traces of both wires, once their runs have been found to be good, counted alike (`but` for these
    counters) and able to be replayed."""
    simulated = simulate(scenario, journal=tmp_path / "sim").record
    played = run_virtual(scenario, journal=tmp_path / "virtual").record
    for record in (simulated, played):
        assert [j.text for j in judge(scenario.expect, record) if j.verdict != "pass"] == []
    counted, found = counters(simulated), counters(played)
    assert {name: count for name, count in counted.items() if name not in but} == {
        name: count for name, count in found.items() if name not in but
    }
    assert replay(tmp_path / "virtual") is None
    return trace_of(tmp_path / "sim"), trace_of(tmp_path / "virtual")


TERSE = {
    "away-in-the-grace",
    "dropped-when-drained",
    "dropped-when-due",
    "gone-before-the-first-post",
    "joined-beside-her-own",
    "left-in-a-flood",
    "newer-to-a-second-device",
    "posted-after-restart",
    "posted-while-away",
    "revoked-on-the-way",
    "revoked-while-down",
    "said-before-the-replay",
    "typing-stopped-early",
}
"""Few people, who say a few messages or none."""

SLOW = {"slow-reader", "retried-behind-a-replay"}
"""Over a narrow band a handshake takes as long as its bytes do, and how much waits is what each wire's pipes hold."""

AT_ONE_INSTANT = {"acked-when-due", "token-refresh"}
"""Acks of several people that come at one instant are told in an order of each wire's own."""


LIVELY = {"one-node"}
"""Over 32 notices of delivery are due within 50 ms, and the asyncio shell has them wait for company."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SHIPPED.keys() - SLOW))
def test_the_shipped_scenarios_are_the_same_run_on_both_wires(name: str, tmp_path: Path) -> None:
    one, other = both(tmp_path, free_of_costs(SHIPPED[name]))
    if name in AT_ONE_INSTANT:
        for line in (*one.lines.values(), *other.lines.values()):
            line.sort(key=lambda entry: (entry.at, entry.what))
    if name in LIVELY:
        for trace in (one, other):
            for who, line in trace.lines.items():
                trace.lines[who] = [entry for entry in line if '"status":"delivered"' not in entry.what]
    assert sum(map(len, one.lines.values())) > (8 if name in TERSE else 100)
    assert differences(one, other)[:5] == []


@pytest.mark.parametrize("name", MORE)
def test_and_so_are_all_other_faults(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.yaml"
    file.write_text(MORE[name], encoding="utf-8")
    one, other = both(tmp_path, free_of_costs(file))
    assert differences(one, other)[:5] == []


def test_a_crash_within_a_drain_strikes_at_that_moment(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(MORE["drain-cut-off"], encoding="utf-8")
    scenario = free_of_costs(file)
    for wire, play in (("sim", simulate), ("virtual", run_virtual)):
        record = play(scenario, journal=tmp_path / wire).record
        assert [(fault.do, fault.vain) for fault in record.fired] == [(event.do, False) for event in scenario.events]
        found = list(read(tmp_path / wire))
        assert [step.now for step in found if step.door == "begin"] == [22.4, 41.5]
        closed = {e.to for step in found for e in step.effects if isinstance(e, Close) and 20.0 <= step.now <= 20.4}
        assert 0 < len(closed) < 9, "some have been asked to go, and some have not"


@pytest.mark.slow
def test_a_slow_reader_is_the_same_until_she_is_slow(tmp_path: Path) -> None:
    scenario = free_of_costs(SHIPPED["slow-reader"])
    # Who is spared presence, and when she is pinged again, hangs on when each wire finds her slow.
    one, other = both(tmp_path, scenario, but={"pings", "presence_events"})
    (event,) = scenario.events
    begins_at = next(step.now for step in read(tmp_path / "sim") if step.door == "pressure")
    assert begins_at >= event.at_s
    assert differences(one.until(begins_at), other.until(begins_at))[:5] == []
    # What the others say and hear stays the same for as long as she is there on either wire.
    accepted = [[e for e in trace.lines["the node"] if e.what.startswith("accepted")] for trace in (one, other)]
    assert accepted[0] == accepted[1]
