"""What a rule fixes is the same on real sockets as on the virtual wire, to the last message.

The same scenario with the same seed is played on both, as `live:` would have it and faster, so that everybody means to
say the same at the same moments. Compared are the counters that follow from that and from the protocol alone. These
cannot be equal, but by chance:

- `pings`, since a live run ends when the crowd has seen that all is settled, and every connection is pinged until then.
- `delivered`, `undelivered` and `presence_events` where people come one after the other: who has joined when somebody
  speaks or comes is a race of milliseconds between two handshakes.
- `resumes`, `recovered`, `unrecovered`, `duplicates_suppressed` and `retries`, where connections are lost: it is chance
  what was under way in that moment, and how long the machine takes to dial again.
- `slow_closed`, since a kernel holds what nobody reads, and `typing_events`, which are dropped for whoever lags.
- `no_pong_closed` and `stale_closed` of those who come back by themselves: which comes first is chance.

`token_expired` and `errors` are equal where a token is renewed in time, or where they follow from a limit, as here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chatsim.live.run import LiveOutcome, run_live
from chatsim.scenario.load import discover, load
from chatsim.scenario.model import Scenario
from chatsim.verdict.metrics import counters
from chatsim.virtual.run import run_virtual

SHIPPED = {path.stem: path for path in discover([])}

FIXED = (
    "sent",
    "accepted",
    "duplicates_suppressed",
    "rate_limited",
    "lost",
    "duplicates",
    "out_of_order",
    "retries",
    "gave_up",
    "auth_refused",
    "token_expired",
    "errors",
    "resumes",
    "recovered",
    "unrecovered",
    "stale_closed",
    "no_pong_closed",
    "slow_closed",
    "connections_peak",
)
AT_ONCE = ("delivered", "undelivered", "presence_events")
"""Fixed too where everybody comes at the same moment."""

SCALES = {"authentication": 0.03, "limiter": 0.02, "retries": 0.025}
"""How fast they are played: some four seconds each."""

ATTEMPTS = 8
"""A live run says itself when the machine was too busy for it, which is no verdict about the server."""


def faster(name: str, folder: Path) -> Scenario:
    """The shipped scenario, whose live run is shorter."""
    text, count = re.subn(r"time_scale: [\d.]+", f"time_scale: {SCALES[name]}", SHIPPED[name].read_text("utf-8"))
    assert count == 1
    file = folder / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file)


def live(scenario: Scenario, folder: Path) -> LiveOutcome:
    """The first run that may be believed; fails where the machine was too busy for any."""
    why = ""
    for attempt in range(ATTEMPTS):
        out_dir = folder / str(attempt)
        out_dir.mkdir()
        outcome = run_live(scenario, seed=scenario.seed, out_dir=out_dir)
        if outcome.valid:
            return outcome
        why = outcome.why_invalid
    raise AssertionError(f"{ATTEMPTS} runs, none of them valid: {why}")


@pytest.mark.slow
@pytest.mark.parametrize("name", SCALES)
def test_what_a_rule_fixes_is_the_same_on_real_sockets(name: str, tmp_path: Path) -> None:
    scenario = faster(name, tmp_path)
    real = counters(live(scenario, tmp_path).record)
    virtual = counters(run_virtual(scenario.with_live_overrides().scaled()).record)
    at_once = all(group.arrive_over_s == 0.0 for group in scenario.groups)
    compared = [*FIXED, *(AT_ONCE if at_once else ())]
    assert {name: real[name] for name in compared} == {name: virtual[name] for name in compared}


def test_the_scenarios_come_to_what_is_compared(tmp_path: Path) -> None:
    """Zeros are easily equal."""
    came: set[str] = set()
    for name in SCALES:
        found = counters(run_virtual(faster(name, tmp_path).with_live_overrides().scaled()).record)
        came |= {counter for counter, value in found.items() if value}
    assert came >= {
        "sent",
        "accepted",
        "rate_limited",
        "delivered",
        "undelivered",
        "retries",
        "gave_up",
        "auth_refused",
    }
