"""The rows of a finished run, put together from what the people noted and what the node did.

Rule: all wires collect here, so that a row means the same on each, and no run is handed over before its messages are
found to be conserved.
"""

from __future__ import annotations

from collections.abc import Sequence

from chatsim.core.delivery import Ledger
from chatsim.journal.record import WAITING, Detection, Fired, RunRecord
from chatsim.people.people import People
from chatsim.scenario.model import Scenario
from chatsim.verdict.metrics import check_conservation
from chatsim.verdict.tally import Tally


def collect(
    scenario: Scenario,
    people: People,
    tally: Tally,
    ledger: Ledger,
    *,
    detections: Sequence[Detection],
    fired: Sequence[Fired],
    loop_lag_s: Sequence[float],
    utilisation: float,
) -> RunRecord:
    """The record of the run; `ledger` is the handler's own account (live: that of the handler which replays the
    journal).

    `loop_lag_s` are samples in seconds, `utilisation` is a share. Raises HarnessError where the two accounts differ.
    """
    for message_id, user in ledger.pairs():
        tally.await_(message_id, user)
    record = RunRecord(
        sent=list(people.sent),
        accepted={},
        receipts=people.receipts,
        owed={},
        groups={person.name: person.group for person in people.persons},
        outages=people.outages,
        detections=list(detections),
        fired=list(fired),
        drain_time_s=[],
        loop_lag_s=list(loop_lag_s),
        utilisation=[utilisation],
        counters={
            "auth_refused": people.auth_refused,
            "turned_away": people.turned_away,
            "copies": people.copies,
            "duplicates": people.duplicates,
            "out_of_order": people.out_of_order,
        },
        duration_s=scenario.duration_s,
        warmup_s=scenario.warmup_s,
    )
    tally.fill(record)
    # A handler that began again counts from then on; what it waits for is checked all the same.
    receivers = ledger.owed if tally.lives == 1 else None
    check_conservation(record, receivers=receivers, waiting=_waiting(ledger, tally))
    return record


def _waiting(ledger: Ledger, tally: Tally) -> int:
    """How many (message, user) pairs the handler waits for, less those whose ack a former life of it has seen."""
    if tally.lives == 1:
        return ledger.waiting
    return sum(tally.owed.get(message_id, {}).get(user) == WAITING for message_id, user in ledger.pairs())
