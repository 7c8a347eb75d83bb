"""What is watched of devices: when they dial again, what they name and ask for, and how long they bear silence."""

from __future__ import annotations

from math import inf

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from chatsim.core.frames import Draining, Error, Left, StatusIn
from chatsim.verdict.invariants.catalogue import Findings
from chatsim.verdict.invariants.devices import DeviceRules
from tests.frames import welcome

DEVICE = 7


class Watched:
    """One device, and what did not hold of it."""

    def __init__(self, *, scale: float = 1.0) -> None:
        self.findings = Findings()
        self.rules = DeviceRules(self.findings, slack_s=1.0, scale=scale)

    @property
    def broken(self) -> list[str]:
        return [violation.name for violation in self.findings.all()]

    def opens(self, now: float, name: str, former: str = "") -> float:
        """It dials, is let in and welcomed; for how long it may hear nothing from now on."""
        self.rules.dials(now, DEVICE, 0.0)
        self.rules.knocks(now, DEVICE, former)
        self.rules.opened(now, DEVICE)
        return self.rules.welcomed(DEVICE, replace(welcome(), connection=name))

    def lost(self, now: float, code: int, dials: float | None, *, returns: bool = True) -> list[str]:
        self.rules.lost(now, DEVICE, code, dials, returns=returns)
        return self.broken

    def refused(self, status: int, retry_after_s: float | None, dials: float | None) -> list[str]:
        self.rules.refused(1.0, DEVICE, status, retry_after_s, dials, returns=True)
        return self.broken


def there(name: str = "c1") -> Watched:
    watched = Watched()
    watched.opens(0.0, name)
    return watched


@pytest.mark.parametrize("code", [1006, 1011, 1012, 4000, 4001, 4002, 4003, 4005])
@pytest.mark.parametrize(
    ("dials", "broken"),
    [
        (0.5, []),
        (1.0, []),
        (0.0, ["comes_back"]),
        (0.49, ["comes_back"]),
        (1.01, ["comes_back"]),
        (None, ["comes_back"]),
    ],
)
def test_who_loses_her_connection_waits_a_little(code: int, dials: float | None, broken: list[str]) -> None:
    assert there().lost(10.0, code, dials) == broken


def test_the_wait_grows_with_each_failure_up_to_its_limit() -> None:
    watched = there()
    assert watched.lost(10.0, 1006, 1.0) == []
    for most_s in (1.5, 2.5, 4.5, 8.5, 16.5, 30.0, 30.0):
        assert watched.refused(0, None, most_s) == []
    assert watched.refused(0, None, 30.1) == ["comes_back"]


def test_it_begins_anew_after_a_minute() -> None:
    for stayed_s, broken in ((59.0, []), (60.0, ["comes_back"])):
        watched = there()
        watched.lost(10.0, 1006, 1.0)
        watched.opens(11.0, "c2", "c1")
        assert watched.lost(11.0 + stayed_s, 1006, 1.4) == broken


def test_all_of_it_is_shorter_where_a_run_is_played_faster() -> None:
    watched = Watched(scale=0.1)
    assert watched.opens(0.0, "c1") == 30.0 + 10.0 + 0.5 + 1.0
    assert watched.lost(6.0, 1006, 0.06) == []
    assert watched.refused(0, None, 0.5) == ["comes_back"]


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1009, 4500, 4501, 4502, 4503])
def test_who_is_told_not_to_come_back_does_not(code: int) -> None:
    assert there().lost(10.0, code, None) == []
    assert there().lost(10.0, code, 0.7) == ["comes_back"]


def test_who_never_comes_back_does_not() -> None:
    assert there().lost(10.0, 1006, None, returns=False) == []
    assert there().lost(10.0, 1006, 0.7, returns=False) == ["comes_back"]


@pytest.mark.parametrize(("dials", "broken"), [(3.0, []), (0.7, ["comes_back"]), (3.1, ["comes_back"])])
def test_who_is_told_when_to_come_back_does_so(dials: float, broken: list[str]) -> None:
    watched = there()
    watched.rules.told(9.0, DEVICE, Draining(reconnect_after_ms=3000))
    assert watched.lost(10.0, 1012, dials) == broken
    assert there().refused(503, 3.0, dials) == broken
    flooding = there()
    flooding.rules.told(8.0, DEVICE, Error("frame_rate", "", retry_after_ms=5000))
    assert flooding.lost(10.0, 4003, dials) == broken


def test_what_was_told_holds_for_the_next_dial_alone() -> None:
    watched = there()
    watched.rules.told(9.0, DEVICE, Draining(reconnect_after_ms=3000))
    watched.lost(10.0, 1012, 3.0)
    assert watched.refused(0, None, 1.5) == []
    flooding = there()
    flooding.rules.told(8.0, DEVICE, Error("frame_rate", "", retry_after_ms=1000))
    assert flooding.lost(10.0, 4003, 0.7) == []
    assert there().refused(503, 1e9, 3600.0) == []


@pytest.mark.parametrize("status", [401, 403, 404])
def test_who_is_refused_for_good_stays_away(status: int) -> None:
    assert there().refused(status, None, None) == []
    assert there().refused(status, None, 0.7) == ["comes_back"]
    assert there().refused(429, None, 0.7) == []


def test_an_overloaded_server_is_given_more_time() -> None:
    assert there().lost(10.0, 1013, 8.5) == []
    assert there().lost(10.0, 1013, 8.6) == ["comes_back"]


def test_nobody_is_at_the_door_before_it_is_time() -> None:
    for at, broken in ((12.9, ["comes_back"]), (13.0, []), (14.0, [])):
        watched = there()
        watched.rules.dials(10.0, DEVICE, 3.0)
        watched.lost(10.0, 1006, 0.7)
        watched.rules.knocks(at, DEVICE, "c1")
        assert watched.broken == broken


def test_a_connection_that_was_never_open_is_not_lost() -> None:
    watched = Watched()
    assert watched.lost(1.0, 1006, None) == []
    left = there()
    left.rules.left(DEVICE)
    assert left.lost(1.0, 1006, None) == []


# Resuming.


@pytest.mark.parametrize(("shown", "broken"), [("c1", []), ("", ["resume"]), ("c0", ["resume"])])
def test_who_comes_back_names_her_former_connection_at_the_door(shown: str, broken: list[str]) -> None:
    watched = there()
    watched.lost(10.0, 1006, 0.7)
    watched.opens(11.0, "c2", shown)
    assert watched.broken == broken
    assert watched.rules.shown == {"c1": "", "c2": shown}


def test_one_that_was_never_welcomed_is_no_former_connection() -> None:
    watched = there()
    watched.lost(10.0, 1006, 0.7)
    watched.rules.knocks(11.0, DEVICE, "c1")
    watched.rules.opened(11.0, DEVICE)
    watched.lost(12.0, 1006, 0.7)
    watched.rules.knocks(13.0, DEVICE, "c1")
    assert watched.broken == []


def back() -> Watched:
    """It was in "s", and is there again on another connection."""
    watched = there()
    watched.rules.joined(DEVICE, "s")
    watched.lost(10.0, 1006, 0.7)
    watched.opens(11.0, "c2", "c1")
    return watched


def joins(watched: Watched, *, last_seq: int | None = 3, replaces: str | None = "c1", session: str = "s") -> list[str]:
    frame = StatusIn(
        "join", session, 1, UNSET if last_seq is None else last_seq, UNSET if replaces is None else replaces
    )
    watched.rules.joins(11.0, DEVICE, frame)
    return watched.broken


def test_who_comes_back_says_in_each_join_whom_she_replaces_and_how_far_she_came() -> None:
    assert joins(back()) == []
    assert joins(back(), last_seq=0) == []
    assert joins(back(), replaces=None) == ["resume"]
    assert joins(back(), replaces="c2") == ["resume"]
    assert joins(back(), last_seq=None) == ["resume"]
    assert joins(back(), last_seq=None, session="t") == []
    assert joins(there(), replaces=None, last_seq=None) == []
    assert joins(there(), replaces="c1", last_seq=None) == ["resume"]


def test_who_has_left_begins_anew() -> None:
    left, ended, refused, asked = back(), back(), back(), back()
    left.rules.parts(DEVICE, "s")
    asked.rules.joins(11.0, DEVICE, StatusIn("leave", "s"))
    ended.rules.ended(DEVICE, Left(session="s", reason="ended"))
    refused.rules.told(11.0, DEVICE, Error("no_such_session", ""))
    for watched in (left, asked, ended, refused):
        assert joins(watched, last_seq=None) == []


def test_who_left_before_the_answer_may_have_been_let_in() -> None:
    """By this connection, or else by the one before."""
    for replaces, broken in ((None, []), ("c1", []), ("c2", ["resume"])):
        watched = back()
        assert joins(watched) == []
        watched.rules.joins(11.0, DEVICE, StatusIn("leave", "s"))
        assert joins(watched, replaces=replaces) == broken
    never = back()
    never.rules.joins(11.0, DEVICE, StatusIn("leave", "s"))
    assert joins(never, replaces=None) == ["resume"]


def test_an_answer_to_a_leave_or_an_error_about_a_message_takes_nothing_away() -> None:
    watched = back()
    watched.rules.ended(DEVICE, Left(session="s", reason="left"))
    watched.rules.told(11.0, DEVICE, Error("not_a_participant", "", "m1"))
    assert joins(watched, last_seq=None) == ["resume"]
    # Whoever is in it was not refused.
    there_again = back()
    there_again.rules.joined(DEVICE, "s")
    there_again.rules.told(12.0, DEVICE, Error("no_such_session", ""))
    assert joins(there_again, last_seq=None) == ["resume"]


# Silence.


def test_silence_is_borne_for_ping_interval_pong_timeout_and_a_margin() -> None:
    watched = Watched()
    assert watched.opens(0.0, "c1") == 30.0 + 10.0 + 5.0 + 1.0
    watched.rules.late(60.0, DEVICE, 46.0)
    assert watched.broken == ["silence"]
    assert inf not in {violation.at for violation in watched.findings.all()}
