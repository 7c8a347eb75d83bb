"""Somebody else's server under a crowd: what is judged of it, what is not, and that a broken one fails."""

from __future__ import annotations

import http
import json
import re
from contextlib import AbstractContextManager
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chatsim.core.config import HandlerConfig
from chatsim.core.frames import RateLimit, Welcome
from chatsim.core.tokens import Minter
from chatsim.errors import HarnessError, NotApplicableError, TargetError
from chatsim.live import absence, remote
from chatsim.live.hosted import Hosted, hosted
from chatsim.live.remote import RemoteOutcome, differences, run_remote
from chatsim.live.target import Target, target
from chatsim.live.tls import self_signed, server_context
from chatsim.scenario.model import Scenario
from chatsim.verdict.judge import judge
from tests.live.foreign import SECRET, Foreign, Mortal, foreign

EXPECT = ("lost == 0", "duplicates == 0", "out_of_order == 0", "max(delivery_latency) <= 10s", "auth_refused == 0")


def scenario(*expect: str, **words: Any) -> Scenario:
    """Six people in two sessions, each of whom writes eight times in a second."""
    people = {
        "name": "people",
        "users": 6,
        "session_size": 3,
        "messages": {"arrivals": "periodic", "rate": "8/s"},
    }
    made = {
        "name": "talk",
        "duration": "1s",
        "handler": {"reliability": "baseline", "retry_interval": "100ms"},
        "groups": [people | words.pop("group", {})],
        "expect": list(expect or EXPECT),
        "live": {"time_scale": 0.1},
    }
    return Scenario.of(made | words)


def at(url: str, secret: bytes = SECRET, **options: Any) -> Target:
    return target(url, Minter(secret, "HS256"), **options)


def play(flaw: str = "", *expect: str, **words: Any) -> tuple[RemoteOutcome, Foreign, dict[str, str]]:
    """The outcome on the server that is not ours, the server, and the verdict of each expectation."""
    with foreign(Foreign(flaw)) as server:
        outcome = run_remote(scenario(*expect, **words), at(server.url))
    return outcome, server, verdicts(outcome)


def verdicts(outcome: RemoteOutcome) -> dict[str, str]:
    return {j.text: j.verdict for j in judge(outcome.scenario.expect, outcome.record, outcome.outside)}


def test_a_server_that_keeps_its_promises_passes_and_is_asked_nothing_that_it_cannot_answer() -> None:
    asked = (*EXPECT, "max(utilisation) <= 90%", "max(loop_lag) <= 1s", "undelivered == 0", "connections_peak == 6")
    outcome, server, found = play("", *asked)
    assert [found[text] for text in EXPECT] == ["pass"] * len(EXPECT)
    assert found["connections_peak == 6"] == "pass"
    assert {found[text] for text in asked[5:8]} == {"skipped"}
    assert server.handshakes == 7
    assert server.peak == 6
    assert len(outcome.record.sent) == len(outcome.record.accepted) > 30
    assert outcome.health["settled"]


def test_a_server_that_loses_every_tenth_message_it_acked_has_lost_them() -> None:
    outcome, _, found = play("loses", "lost == 0", "duplicates == 0", "max(delivery_latency) <= 10s", "accepted >= 20")
    assert list(found.values()) == ["fail", "pass", "fail", "pass"]
    assert outcome.outside.bounds["lost"].exact
    assert outcome.outside.bounds["lost"].low == sum(
        told.endswith("0") for told in outcome.record.accepted.values() if "/" in told
    )


def test_a_server_that_delivers_twice_is_found_though_our_clients_would_hide_it() -> None:
    _, _, found = play("twice", "lost == 0", "duplicates == 0")
    assert list(found.values()) == ["pass", "fail"]


def test_a_server_that_never_acks_has_accepted_nobody_knows_what() -> None:
    _, _, found = play("mute", "accepted >= 1", "lost == 0", "p99(ack_latency) <= 10s")
    assert list(found.values()) == ["skipped", "skipped", "fail"]


def test_who_is_dropped_comes_back_and_what_was_missed_is_neither_lost_nor_sent_twice() -> None:
    events = [{"at": "500ms", "do": "drop", "count": 2}]
    asked = ("lost == 0", "duplicates == 0", "out_of_order == 0", "count(reconnect_time) == 2", "resumes >= 2")
    outcome, _, found = play("", *asked, "pings == 0", events=events)
    assert [found[text] for text in asked] == ["pass"] * len(asked)
    assert found["pings == 0"] == "skipped"
    assert [len(fired.users) for fired in outcome.record.fired] == [2]


def test_the_time_scale_is_not_applied_and_what_is_believed_is_said() -> None:
    outcome, _, _ = play()
    assert outcome.record.duration_s == 1.0
    believed, scale = outcome.notes
    assert "is believed to be configured with" in believed
    assert "ping_interval 20 s, not 30 s" in believed
    assert "time_scale 0.1 was not applied" in scale


def test_two_runs_share_no_user_session_or_token() -> None:
    with foreign(Foreign()) as server:
        first, second = (run_remote(scenario(), at(server.url)) for _ in range(2))
    assert not first.record.groups.keys() & second.record.groups.keys()
    assert set(verdicts(first).values()) == set(verdicts(second).values()) == {"pass"}


def test_who_is_refused_is_counted_and_takes_no_part() -> None:
    _, _, found = play("", "auth_refused == 6", "connections_peak == 0", group={"credentials": "forged"})
    assert set(found.values()) == {"pass"}


def test_no_load_goes_to_a_server_that_refuses_the_key() -> None:
    with foreign(Foreign()) as server, pytest.raises(TargetError, match="refuses every handshake"):
        run_remote(scenario(), at(server.url, b"another secret of more than 32 bytes"))
    assert server.handshakes == 1


def test_what_cannot_be_done_to_it_is_not_played_at_all() -> None:
    events = [{"at": "500ms", "do": "crash_node", "down": "1s"}]
    with foreign(Foreign()) as server, pytest.raises(NotApplicableError, match="crash_node at 500 ms"):
        run_remote(scenario(events=events), at(server.url))
    assert server.handshakes == 0


def test_tokens_are_signed_with_a_private_key_where_that_is_given() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    good, forged = ({"name": name, "users": 2, "credentials": name} for name in ("good", "forged"))
    asked = scenario("auth_refused == 2", "connections_peak == 2", groups=[good, forged])
    with foreign(Foreign(key=key.public_key(), algorithm="ES256", audience="chat")) as server:
        outcome = run_remote(asked, target(server.url, Minter(pem, "ES256", audience="chat")))
    assert set(verdicts(outcome).values()) == {"pass"}


def test_it_is_played_over_tls_that_is_verified() -> None:
    with self_signed() as files, foreign(Foreign(), server_context(files.cert, files.key)) as server:
        outcome = run_remote(scenario(tls=True), at(server.url, ca=files.cert))
    assert set(verdicts(outcome).values()) == {"pass"}


class Babbling(Foreign):
    """Speaks the protocol until somebody writes."""

    async def say(self, connection: Any, user: str, frame: dict[str, Any]) -> None:
        await connection.send('{"type":"gossip"}')


def test_a_server_that_breaks_the_protocol_on_the_way_ends_the_run_with_the_reason() -> None:
    with foreign(Babbling()) as server, pytest.raises(HarnessError, match=r"breaks the protocol.*gossip"):
        run_remote(scenario(), at(server.url))


# One that goes away, or leaves people without an answer.


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for for long."""
    monkeypatch.setattr(absence, "GONE_S", 0.3)
    monkeypatch.setattr(remote, "ACKS_S_MAX", 0.3)


KEPT_BY_THE_DEAD = ("p95(delivery_latency) <= 10s", "duplicates == 0", "auth_refused == 0", "accepted >= 1")


@pytest.mark.usefixtures("hasty")
def test_a_server_that_goes_away_for_good_ends_the_run_and_proves_nothing() -> None:
    with foreign(Mortal()) as server:
        # Nobody waits for an hour to hear that.
        outcome = run_remote(scenario(*KEPT_BY_THE_DEAD, duration="1h"), at(server.url))
    assert set(verdicts(outcome).values()) == {"pass"}
    assert not outcome.valid
    assert not outcome.busy
    found = re.fullmatch(
        rf"{server.url} went away: from (\d+\.\d) s on nobody could connect, until the run was ended at (\d+\.\d) s; "
        r"(\d+) of (\d+) messages were not answered",
        outcome.why_invalid,
    )
    assert found, outcome.why_invalid
    since, until, unanswered, sent = map(float, found.groups())
    assert 0.2 < since < until < 3000
    assert sent == len(outcome.record.sent)
    assert unanswered == sent - len(outcome.record.accepted) > 0
    assert not outcome.health["settled"]


@pytest.mark.usefixtures("hasty")
def test_it_went_away_even_where_nobody_tries_to_get_back() -> None:
    with foreign(Mortal()) as server:
        outcome = run_remote(scenario(*KEPT_BY_THE_DEAD, group={"reconnect": False}), at(server.url))
    assert set(verdicts(outcome).values()) == {"pass"}
    assert f"{server.url} went away: from 0." in outcome.why_invalid


class Resting(Foreign):
    """Hangs up on everybody with the ninth message, and lets nobody in until each has tried."""

    def __init__(self) -> None:
        super().__init__()
        self.said = 0

    def door(self, connection: Any, request: Any) -> Any:
        found = super().door(connection, request)
        if 7 < self.handshakes <= 7 + 6:
            return connection.respond(http.HTTPStatus.BAD_GATEWAY, "nobody is here")
        return found

    async def say(self, connection: Any, user: str, frame: dict[str, Any]) -> None:
        self.said += 1
        await super().say(connection, user, frame)
        if self.said == 9:
            for each in tuple(self._claims):
                each.transport.abort()


def test_a_server_that_is_back_soon_is_judged() -> None:
    asked = ("duplicates == 0", "count(reconnect_time) == 6", "max(reconnect_time) <= 1min", "accepted >= 1")
    with foreign(Resting()) as server:
        outcome = run_remote(scenario(*asked), at(server.url))
    assert outcome.valid, outcome.why_invalid
    assert outcome.health["settled"]
    assert set(verdicts(outcome).values()) == {"pass"}


class Partial(Foreign):
    """Hangs up on who says the ninth message, and lets her in no more: its half of the nodes is gone."""

    def __init__(self, status: http.HTTPStatus) -> None:
        super().__init__()
        self.said = 0
        self.status = status
        self.out: str | None = None

    def door(self, connection: Any, request: Any) -> Any:
        found = super().door(connection, request)
        claims = self._claims.get(connection)
        if claims is not None and claims["sub"] == self.out:
            del self._claims[connection]
            return connection.respond(self.status, "nobody is here")
        return found

    async def say(self, connection: Any, user: str, frame: dict[str, Any]) -> None:
        self.said += 1
        await super().say(connection, user, frame)
        if self.said == 9:
            self.out = user
            connection.transport.abort()


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("status", [http.HTTPStatus.BAD_GATEWAY, http.HTTPStatus.SERVICE_UNAVAILABLE])
def test_who_never_got_back_in_was_not_answered_unless_she_was_turned_away(
    status: http.HTTPStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "settle_s_max", lambda played: 1.5)
    monkeypatch.setattr(remote, "SLACK_S", 0.0)
    with foreign(Partial(status)) as server:
        outcome = run_remote(scenario("duplicates == 0", "accepted >= 1"), at(server.url))
    assert set(verdicts(outcome).values()) == {"pass"}
    assert outcome.valid
    assert not outcome.health["settled"]
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        assert outcome.unanswered == ""
    else:
        assert re.search(r" left \d of \d+ messages without an answer, until \d\.\d s", outcome.unanswered)


@pytest.mark.usefixtures("hasty")
def test_what_was_never_answered_proves_nothing_unless_a_promise_counts_it() -> None:
    outcome, _, found = play("mute", "duplicates == 0")
    assert set(found.values()) == {"pass"}
    sent = len(outcome.record.sent)
    assert f"left {sent} of {sent} messages without an answer" in outcome.unanswered
    assert not outcome.health["settled"]
    counted, _, _ = play("mute", "duplicates == 0", "p50(ack_latency) <= 10s")
    assert counted.unanswered == ""
    counted, _, _ = play("mute", "duplicates == 0", "p50(ack_latency, group=people) <= 10s")
    assert counted.unanswered == ""


@pytest.mark.usefixtures("hasty")
def test_what_was_not_answered_to_one_group_is_not_counted_by_a_promise_about_another() -> None:
    groups = [{"name": name, "users": 2, "messages": {"arrivals": "periodic", "rate": "8/s"}} for name in ("a", "b")]
    outcome, _, _ = play("mute", "p50(ack_latency, group=a) <= 10s", groups=groups)
    sent = outcome.record.sent
    theirs = sum(row.group == "b" for row in sent)
    assert f"left {theirs} of {len(sent)} messages without an answer" in outcome.unanswered
    outcome, _, _ = play("mute", "count(ack_latency) >= 1", groups=groups)
    assert f"left {len(sent)} of {len(sent)} messages without an answer" in outcome.unanswered


@pytest.mark.usefixtures("hasty")
def test_who_was_struck_by_an_event_is_not_asked_for_answers() -> None:
    outcome, _, _ = play("mute", "duplicates == 0", events=[{"at": "500ms", "do": "drop"}])
    assert outcome.unanswered == ""
    # Though one that has acked nothing at all has shown nothing.
    assert outcome.took_none


class Deaf(Foreign):
    """Welcomes people, and never answers a join."""

    async def act(self, connection: Any, user: str, claims: dict[str, Any], frame: dict[str, Any]) -> None:
        if frame["type"] != "status":
            await super().act(connection, user, claims, frame)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("events", [[], [{"at": "500ms", "do": "drop"}]])
def test_who_was_never_let_into_her_session_was_not_answered(events: list[dict[str, Any]]) -> None:
    with foreign(Deaf()) as server:
        outcome = run_remote(scenario("duplicates == 0", "p50(ack_latency) <= 10s", events=events), at(server.url))
    assert verdicts(outcome) == {"duplicates == 0": "pass", "p50(ack_latency) <= 10s": "fail"}
    sent = len(outcome.record.sent)
    assert outcome.took_none == f"{server.url} acked none of {sent} messages"
    with foreign(Deaf()) as server:
        outcome = run_remote(scenario("duplicates == 0", events=events), at(server.url))
    if not events:
        assert f"left {sent} of {sent} messages without an answer" in outcome.unanswered
        assert not outcome.health["settled"]
    assert outcome.took_none


class Closed(Foreign):
    """Answers every message with a refusal."""

    async def say(self, connection: Any, user: str, frame: dict[str, Any]) -> None:
        error = {"type": "error", "code": "no_such_session", "message": "no", "id": frame["id"]}
        await connection.send(json.dumps(error))


@pytest.mark.parametrize(
    ("promises", "proves"),
    [
        (["duplicates == 0", "connections_peak == 6"], False),
        (["duplicates == 0", "accepted <= 10"], False),
        (["duplicates == 0", "errors <= 100"], False),
        (["duplicates == 0", "errors >= 10"], True),
        (["duplicates == 0", "accepted == 0"], True),
    ],
)
def test_a_server_that_takes_nothing_proves_nothing_unless_that_is_promised(promises: list[str], proves: bool) -> None:
    with foreign(Closed()) as server:
        outcome = run_remote(scenario(*promises), at(server.url))
    assert set(verdicts(outcome).values()) == {"pass"}
    assert outcome.unanswered == ""
    sent = len(outcome.record.sent)
    assert outcome.took_none == ("" if proves else f"{server.url} acked none of {sent} messages")


def test_who_is_not_let_in_is_asked_for_no_ack() -> None:
    outcome, _, _ = play("", "auth_refused == 6", group={"credentials": "forged"})
    assert outcome.record.sent
    assert outcome.took_none == ""


# Our own server, which tells its senders everything.


def ours(**config: Any) -> AbstractContextManager[Hosted]:
    return hosted(HandlerConfig(**config), keys=(SECRET,))


def test_our_own_server_says_what_became_of_every_message() -> None:
    asked = (*EXPECT, "undelivered == 0", "gave_up == 0", "retries == 0", "errors == 0", "delivered >= 60")
    with ours() as server:
        outcome = run_remote(scenario(*asked, handler={}), at(server.url))
    assert set(verdicts(outcome).values()) == {"pass"}
    assert outcome.notes[0].endswith("configured with")


def test_the_limit_of_our_own_server_is_seen_from_outside() -> None:
    asked = ("rate_limited >= 30", "lost == 0", "max(ack_latency) <= 10s")
    with ours(rate_limit=2) as server:
        outcome = run_remote(scenario(*asked, handler={"rate_limit": "2/min"}), at(server.url))
    assert set(verdicts(outcome).values()) == {"pass"}
    assert len(outcome.record.accepted) == 12


def test_orders_over_http_are_given_where_there_is_an_admin_key() -> None:
    # Half-way between two messages of everybody: of one that is on its way just then it is never known whether it was
    # taken, and nothing could be said of what is lost.
    events = [
        {"at": "300ms", "do": "post", "count": 2},
        {"at": "450ms", "do": "revoke", "count": 1},
        {"at": "450ms", "do": "remove_participant", "count": 1, "for": "300ms"},
    ]
    with ours() as server:
        where = at(server.url, admin_key=server.admin_key.encode())
        outcome = run_remote(scenario("lost == 0", "duplicates == 0", handler={}, events=events), where)
    assert set(verdicts(outcome).values()) == {"pass"}
    assert [(fired.do, len(fired.users)) for fired in outcome.record.fired] == [
        ("post", 2),
        ("revoke", 1),
        ("remove_participant", 1),
    ]


def test_what_the_server_says_of_itself_is_held_against_what_is_believed() -> None:
    welcome = Welcome(
        connection="c1",
        user="ann",
        server_time=0.0,
        ping_interval_s=20.0,
        pong_timeout_s=10.0,
        expires_in_s=60.0,
        message_bytes_max=1024,
        rate_limit=RateLimit(10, 60.0),
    )
    assert list(differences(welcome, HandlerConfig())) == [
        "ping_interval 20 s, not 30 s",
        "message_bytes_max 1024, not 65536",
        "rate_limit 10 in 60 s, not 60 in 60 s",
    ]
