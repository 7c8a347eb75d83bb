"""Both accounts of a run are held against each other before it is handed over."""

from __future__ import annotations

import pytest

from chatsim.core.config import HandlerConfig
from chatsim.core.delivery import Ledger
from chatsim.errors import HarnessError
from chatsim.journal.record import RunRecord
from chatsim.people.people import Device, People
from chatsim.scenario.model import Scenario
from chatsim.verdict.collect import collect
from chatsim.verdict.tally import Tally

SCENARIO = Scenario.of(
    {
        "name": "small",
        "duration": "30s",
        "warmup": "5s",
        "groups": [{"name": "g", "users": 1}],
        "expect": ["lost == 0"],
    }
)


class NoWire:
    """A wire on which nothing happens."""

    def dial(self, now: float, device: Device, after_s: float) -> None: ...
    def transmit(self, now: float, device: Device, frame: object) -> None: ...
    def refresh(self, now: float, device: Device) -> None: ...
    def hang_up(self, now: float, device: Device, code: int) -> None: ...
    def arm(self, now: float, device: Device) -> None: ...


def collected(ledger: Ledger, tally: Tally) -> RunRecord:
    people = People(NoWire())
    people.auth_refused = 3
    return collect(SCENARIO, people, tally, ledger, detections=[], fired=[], loop_lag_s=(0.1, 0.2), utilisation=0.5)


def test_a_record_has_what_people_noted_and_what_the_node_measured() -> None:
    record = collected(Ledger(HandlerConfig()), Tally())
    assert record.counters["auth_refused"] == 3
    assert record.loop_lag_s == [0.1, 0.2]
    assert record.utilisation == [0.5]
    assert (record.duration_s, record.warmup_s) == (30.0, 5.0)


def test_accounts_that_differ_are_the_harness_fault() -> None:
    ledger = Ledger(HandlerConfig())
    ledger.owed = 1
    with pytest.raises(HarnessError, match="not conserved"):
        collected(ledger, Tally())
