"""The client, rule by rule: backoff and terminal codes, resume and resending, acks, silence (protocol.md, 2 and 3)."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from chatsim.core.chance import Dice
from chatsim.core.client import TOLD_S_MAX, ChatClient, ClientConfig, told_s
from chatsim.core.effects import ClientEffect, ClientEffects, Dial, HangUp, Renew, Transmit
from chatsim.core.frames import (
    AckIn,
    Delivered,
    Draining,
    Error,
    Heartbeat,
    Left,
    Message,
    PresenceIn,
    Refreshed,
    Say,
    StatusIn,
    TokenExpiring,
    TypingIn,
)
from tests.core.devices import at_home, client, dial_s, shown, written
from tests.frames import BODY, acked, joined, message, welcome

COME_BACK = (1006, 1011, 1012, 4000, 4001, 4002, 4003, 4005, 4499)
STAY_AWAY = (1000, 1003, 1007, 1009, 4500, 4501, 4502, 4503, 4999)


# Coming back.


@settings(deadline=None)
@given(st.integers())
def test_the_backoff_doubles_its_spread_up_to_30_s(seed: int) -> None:
    made = client(seed=seed)
    for n in range(12):
        delay_s = dial_s(made.refused(float(n), 0))
        assert 0.5 <= delay_s <= min(30, 0.5 + min(30, 0.5 * 2**n))


def test_the_backoff_is_spread_evenly_over_its_range() -> None:
    firsts = [dial_s(client(seed=seed).refused(0.0, 0)) for seed in range(2000)]
    assert min(firsts) < 0.505
    assert max(firsts) > 0.995
    # The busiest 100 ms of the first attempt take about a fifth: 0.1 s of a range of 0.5 s.
    assert max(sum(0.1 * n <= delay < 0.1 * (n + 1) for delay in firsts) for n in range(4, 11)) < 0.25 * 2000


def busiest(moments: list[float], width_s: float = 0.1) -> float:
    """The share of the fullest of the fixed bins of this width."""
    return max(Counter(int(moment / width_s) for moment in moments).values()) / len(moments)


def test_a_herd_of_10_000_comes_back_in_a_rush_unless_it_was_told_when() -> None:
    # All are dropped at moment 0. Backoff alone spreads them over half a second: five bins of a fifth each, the fullest
    # a little more. From [0, 5 s] it is fifty bins of 200 +- 14 (binomial), of which the fullest is some 231.
    dice = Dice(1)
    untold, told = [], []
    for seed in range(10_000):
        herd = client(seed=seed), client(seed=seed)
        for made in herd:
            made.opened(0.0)
        herd[1].receive(0.0, Draining(reconnect_after_ms=int(5000 * dice.uniform())))
        untold.append(dial_s(herd[0].closed(0.0, 1012)))
        told.append(dial_s(herd[1].closed(0.0, 1012)))
    # With other seeds the first would be missed once in 2,000 times, the second once in 80.
    assert busiest(untold) == pytest.approx(0.206, abs=0.009)
    assert busiest(told) == pytest.approx(0.023, abs=0.002)


def test_a_late_backoff_is_capped_after_the_jitter() -> None:
    made = client()
    delays = [dial_s(made.refused(0.0, 0)) for _ in range(300)][8:]
    assert max(delays) == 30.0
    assert min(delays) < 2


def test_the_backoff_begins_anew_after_60_s_of_stable_connection() -> None:
    made = client()
    for _ in range(8):
        made.refused(0.0, 0)
    made.opened(100.0)
    unstable_s = [dial_s(made.closed(159.9, 1006))]
    for _ in range(20):
        made.opened(200.0)
        unstable_s.append(dial_s(made.closed(200.0, 1006)))
    assert max(unstable_s) > 1
    made.opened(300.0)
    assert dial_s(made.closed(360.0, 1006)) <= 1.0


@pytest.mark.parametrize("code", COME_BACK)
def test_codes_after_which_it_comes_back(code: int) -> None:
    made = at_home()
    assert 0.5 <= dial_s(made.closed(1.0, code)) <= 1.0
    assert made.state == "waiting"


@pytest.mark.parametrize("code", STAY_AWAY)
def test_codes_after_which_it_does_not(code: int) -> None:
    made = at_home()
    assert made.closed(1.0, code) == ()
    assert made.state == "idle"
    assert made.wake_at() == inf


def test_an_overloaded_server_is_given_longer() -> None:
    delays = []
    for seed in range(200):
        made = client(seed=seed)
        made.opened(0.0)
        delays.append(dial_s(made.closed(1.0, 1013)))
    assert max(delays) > 2
    assert all(0.5 <= delay <= 30 for delay in delays)


@pytest.mark.parametrize(
    ("status", "again"), [(0, True), (500, True), (503, True), (429, True), (401, False), (403, False)]
)
def test_a_refused_dial(status: int, again: bool) -> None:
    made = client()
    assert bool(made.refused(0.0, status)) is again
    assert made.state == ("waiting" if again else "idle")


def test_retry_after_is_obeyed() -> None:
    assert dial_s(client().refused(0.0, 503, 7.5)) == 7.5


@pytest.mark.parametrize(
    ("ms", "seconds"), [(-(10**400), 0.0), (-5, 0.0), (1500, 1.5), (10**9, TOLD_S_MAX), (10**400, TOLD_S_MAX)]
)
def test_no_time_that_a_server_tells_is_too_odd_to_be_waited(ms: int, seconds: float) -> None:
    assert told_s(ms) == seconds
    made = at_home()
    made.receive(1.0, Draining(reconnect_after_ms=ms))
    assert dial_s(made.closed(2.0, 1012)) == seconds
    made = at_home()
    made.say(0.0, "i", "s", BODY)
    made.receive(1.0, Error("unavailable", "later", "i", retry_after_ms=ms))
    assert made.wake_at() == min(1.0 + seconds, 46.0)


def test_a_server_that_wants_nobody_back_for_ever_is_asked_again_within_the_hour() -> None:
    assert dial_s(client().refused(0.0, 503, inf)) == TOLD_S_MAX


def test_reconnect_after_ms_is_obeyed_once() -> None:
    made = at_home()
    made.receive(1.0, Draining(reconnect_after_ms=4200))
    assert dial_s(made.closed(2.0, 1012)) == 4.2
    made.opened(10.0)
    assert dial_s(made.closed(11.0, 1012)) <= 1.5


def test_after_a_flood_it_waits_as_long_as_it_was_told() -> None:
    made = at_home()
    made.receive(10.0, Error("frame_rate", "too many", retry_after_ms=20_000))
    assert dial_s(made.closed(15.0, 4003)) == 15.0
    made.opened(40.0)
    assert dial_s(made.closed(41.0, 4003)) <= 1.5


def test_without_reconnection_every_end_is_final() -> None:
    made = at_home(ClientConfig(reconnect=False))
    assert made.closed(1.0, 1006) == ()
    assert made.state == "idle"
    assert client(ClientConfig(reconnect=False)).refused(0.0, 503) == ()


def test_who_hangs_up_does_not_come_back() -> None:
    made = at_home()
    assert made.hang_up(1.0) == (HangUp(1000, "bye"),)
    assert made.closed(1.0, 1000) == ()
    assert made.typing(2.0, "s", True) == ()
    assert made.wake_at() == inf


def test_who_hangs_up_while_dialling_stays_away() -> None:
    made = client()
    assert made.hang_up(0.0) == ()
    assert made.refused(1.0, 503) == ()
    assert made.opened(1.0) == (HangUp(1000, "bye"),)
    assert made.state == "idle"


# Writing.


def test_a_message_is_written_at_once_when_joined() -> None:
    made = at_home()
    assert written(made.say(1.0, "x", "s", BODY)) == [Say("x", "s", BODY)]
    assert made.unacked == 1
    made.receive(1.0, acked("x", 1))
    assert made.unacked == 0


def test_what_was_not_acked_is_sent_again_with_the_same_id_after_joining() -> None:
    made = at_home()
    for id_ in ("x", "y", "z"):
        made.say(1.0, id_, "s", BODY)
    made.receive(1.0, acked("x", 1))
    made.closed(2.0, 4001)
    assert made.say(2.5, "w", "s", BODY) == ()
    made.opened(3.0)
    assert not any(isinstance(frame, Say) for frame in written(made.receive(3.0, welcome("c2"))))
    effects = made.receive(3.0, joined(1, recovered=True))
    assert [frame.id for frame in written(effects) if isinstance(frame, Say)] == ["y", "z", "w"]
    assert not any(isinstance(frame, Say) for frame in written(made.receive(3.1, joined(1, recovered=True))))
    made.receive(4.0, acked("y", 2, duplicate=True))
    assert made.unacked == 2


def test_a_session_that_was_never_joined_is_written_to_after_the_welcome() -> None:
    made = client()
    made.say(0.0, "x", "@ann", BODY)
    made.opened(0.0)
    assert written(made.receive(0.0, welcome())) == [Say("x", "@ann", BODY)]


def test_a_refused_message_is_shown_and_not_sent_again() -> None:
    made = at_home()
    made.say(1.0, "x", "s", BODY)
    refusal = Error("rate_limited", "slow down", "x", 1000)
    assert shown(made.receive(1.0, refusal)) == [refusal]
    assert made.unacked == 0


def test_a_message_that_the_log_could_not_take_is_kept() -> None:
    made = at_home()
    made.say(1.0, "x", "s", BODY)
    made.receive(1.0, Error("unavailable", "try again", "x"))
    assert made.unacked == 1


def test_what_waits_for_a_join_is_sent_when_the_person_leaves_first() -> None:
    made = at_home()
    made.join(1.0, "t")
    assert made.say(1.0, "a", "t", BODY) == ()
    assert written(made.leave(1.0, "t")) == [Say("a", "t", BODY), StatusIn("leave", "t")]


def test_what_waits_for_a_join_is_sent_when_that_is_refused() -> None:
    """So that it is refused too: nobody waits for its ack until the next connection."""
    made = at_home()
    made.join(1.0, "t")
    made.say(1.0, "a", "t", BODY)
    assert written(made.receive(1.1, Error("no_such_session", "no"))) == [Say("a", "t", BODY)]
    made.receive(1.2, Error("no_such_session", "no", "a"))
    assert made.unacked == 0


def test_a_message_from_before_leaving_is_not_shown_again_after_coming_back() -> None:
    made = at_home()
    made.receive(1.0, message(1))
    made.leave(2.0, "s")
    made.join(2.0, "s")
    assert made.receive(2.1, message(1, attempt=2)) == ()
    made.receive(2.2, Left(session="s", reason="left"))
    made.receive(2.3, joined(1))
    assert shown(made.receive(2.4, message(2))) == [message(2)]


@pytest.mark.parametrize("recovered", [True, False])
def test_what_is_live_in_the_own_session_waits_for_the_replay_before_it(recovered: bool) -> None:
    """The server joins her own session before the client has said how far it is."""
    made = at_home()
    own = [message(seq, sender="@server", session="@ann") for seq in (1, 2, 3)]
    assert shown(made.receive(1.0, own[0])) == [own[0]]
    made.closed(2.0, 1006)
    made.opened(3.0)
    assert StatusIn("join", "@ann", 1, 1, "c1") in written(made.receive(3.0, welcome("c2")))
    assert made.receive(3.1, own[2]) == ()
    answer = joined(3, recovered=recovered, session="@ann")
    found = made.receive(3.2, answer)
    if recovered:
        # The ack of what was seen, and then the replay.
        assert written(found) == [AckIn("@ann", 1)]
        assert [shown(made.receive(3.3, one)) for one in own[1:]] == [[own[1]], [own[2]]]
    else:
        assert shown(found) == [answer, own[2]]
        assert shown(made.receive(3.3, own[2])) == []


def test_typing_and_presence_are_worth_nothing_later() -> None:
    made = client()
    assert made.typing(0.0, "s", True) == made.presence(0.0, "away") == ()
    made = at_home()
    assert written(made.typing(0.0, "s", True)) == [TypingIn("s", True)]
    assert written(made.presence(0.0, "away")) == [PresenceIn("away")]


# Reading.


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), max_size=40))
def test_the_person_sees_each_message_once_and_in_order(seqs: list[int]) -> None:
    made = at_home()
    seen: list[int] = []
    for place, seq in enumerate(seqs):
        seen += [frame.seq for frame in shown(made.receive(place / 10, message(seq))) if isinstance(frame, Message)]
    assert seen == sorted(set(seen))
    assert made.duplicates == len(seqs) - len(seen)
    assert not seqs or seen[-1] == max(seqs)


def test_the_own_message_moves_the_position() -> None:
    made = at_home()
    made.say(1.0, "x", "s", BODY)
    made.receive(1.0, acked("x", 1))
    made.closed(2.0, 1006)
    made.opened(3.0)
    assert StatusIn("join", "s", 1, 1, "c1") in written(made.receive(3.0, welcome("c2")))


def test_the_own_message_does_not_move_the_position_past_what_a_replay_still_brings() -> None:
    made = at_home(seq=3)
    made.say(1.0, "x", "s", BODY)
    made.receive(1.0, acked("x", 7))
    assert [shown(made.receive(2.0, message(seq))) != [] for seq in (4, 5, 6, 6)] == [True, True, True, False]


def test_a_copy_of_ones_own_message_is_shown_and_not_acked() -> None:
    effects = at_home().receive(1.0, message(1, sender="ann"))
    assert len(shown(effects)) == 1
    assert written(effects) == []


# Acking.


def test_the_first_ack_goes_at_once_and_the_next_wait_for_200_ms() -> None:
    made = at_home()
    assert written(made.receive(1.0, message(1))) == [AckIn("s", 1)]
    assert written(made.receive(1.05, message(2))) == []
    assert written(made.receive(1.1, message(3))) == []
    assert made.wake_at() == pytest.approx(1.2)
    assert written(made.wake(1.19)) == []
    assert written(made.wake(1.2)) == [AckIn("s", 3)]
    assert made.wake_at() > 2
    assert written(made.receive(1.5, message(4))) == [AckIn("s", 4)]


def test_a_message_seen_before_is_acked_again() -> None:
    made = at_home()
    made.receive(1.0, message(1))
    assert written(made.receive(31.0, message(1, attempt=2))) == [AckIn("s", 1)]


@settings(deadline=None)
@given(st.lists(st.floats(0, 0.5), max_size=40))
def test_no_ack_waits_longer_than_200_ms_and_none_follows_sooner(gaps: list[float]) -> None:
    made = at_home()
    now = 0.0
    acks: list[tuple[float, int]] = []
    due: dict[int, float] = {}

    def note(at: float, effects: ClientEffects) -> None:
        for frame in written(effects):
            assert isinstance(frame, AckIn)
            assert isinstance(frame.up_to, int)
            acks.append((at, frame.up_to))

    for place, gap in enumerate([*gaps, 1.0]):
        while made.wake_at() <= now + gap:
            at = made.wake_at()
            note(at, made.wake(at))
        now += gap
        due[place + 1] = now
        note(now, made.receive(now, message(place + 1)))
    for seq, came_at in due.items():
        ack_at = next(at for at, up_to in acks if up_to >= seq)
        assert came_at <= ack_at <= came_at + 0.2 + 1e-9
    moments = [at for at, _ in acks]
    assert all(later - earlier >= 0.2 - 1e-9 for earlier, later in pairwise(moments))


def test_who_acks_each_names_it_and_does_so_at_once() -> None:
    made = at_home(ClientConfig(ack_each=True))
    first, second = message(1), message(2)
    assert written(made.receive(1.0, first)) == [AckIn(message_id=first.message_id)]
    assert written(made.receive(1.0, second)) == [AckIn(message_id=second.message_id)]
    assert written(made.receive(31.0, message(1, attempt=2))) == [AckIn(message_id=first.message_id)]
    assert made.duplicates == 1
    assert made.wake_at() > 40


@pytest.mark.parametrize("ack_each", [False, True])
def test_who_withholds_acks_writes_none(ack_each: bool) -> None:
    made = at_home(ClientConfig(acks=False, ack_each=ack_each))
    assert written(made.receive(1.0, message(1))) == []
    assert made.wake_at() > 40


# Silence.


def test_nothing_heard_for_45_s_is_the_end_of_the_connection() -> None:
    made = at_home()
    assert made.wake_at() == 45.0
    assert made.wake(44.9) == ()
    effects = made.wake(45.0)
    kinds: list[type[ClientEffect]] = [type(effect) for effect in effects]
    assert kinds == [HangUp, Dial]
    assert made.state == "waiting"
    assert made.closed(45.1, 1006) == ()


@pytest.mark.parametrize("sign", ["ping", "frame"])
def test_anything_heard_counts(sign: str) -> None:
    made = at_home()
    if sign == "ping":
        made.heard(30.0)
    else:
        made.receive(30.0, Error("bad_frame", "what?"))
    assert made.wake(45.0) == ()
    assert made.wake_at() == 75.0


def test_scaled_plays_the_backoff_faster_and_leaves_the_ack_delay() -> None:
    config = ClientConfig().scaled(0.1)
    assert config.backoff_base_s == pytest.approx(0.05)
    assert config.backoff_s_max == pytest.approx(3)
    assert config.stable_after_s == pytest.approx(6)
    assert config.silence_margin_s == pytest.approx(0.5)
    assert config.ack_delay_s == 0.2


def test_an_absent_position_is_not_written() -> None:
    made = client()
    made.join(0.0, "s")
    made.opened(0.0)
    [join] = written(made.receive(0.0, welcome()))
    assert isinstance(join, StatusIn)
    assert (join.epoch, join.last_seq, join.replaces) == (UNSET, UNSET, UNSET)


# Trying again on the open connection.


def test_a_message_that_the_log_could_not_take_is_sent_again_on_the_same_connection() -> None:
    made = at_home()
    made.say(1.0, "x", "s", BODY)
    made.receive(1.0, Error("unavailable", "try again", "x"))
    assert made.pending("x")
    assert 1.5 <= made.wake_at() <= 2.0
    assert made.wake(1.4) == ()
    assert written(made.wake(made.wake_at())) == [Say("x", "s", BODY)]
    made.receive(2.0, Error("unavailable", "try again", "x", 4000))
    assert made.wake_at() == 6.0
    assert written(made.wake(6.0)) == [Say("x", "s", BODY)]
    made.receive(6.1, acked("x", 1))
    assert not made.pending("x")
    assert made.wake_at() > 40


def test_acks_do_not_wait_for_what_is_tried_again() -> None:
    made = at_home()
    made.say(1.0, "x", "s", BODY)
    made.receive(1.0, message(1))
    made.receive(1.0, Error("unavailable", "try again", "x"))
    made.receive(1.1, message(2))
    assert made.wake_at() == pytest.approx(1.2)
    assert written(made.wake(1.2)) == [AckIn("s", 2)]
    assert written(made.wake(made.wake_at())) == [Say("x", "s", BODY)]


def test_a_withdrawn_message_is_not_sent_again() -> None:
    made = at_home()
    made.say(1.0, "x", "s", BODY)
    made.receive(1.0, Error("unavailable", "try again", "x"))
    made.withdraw(1.1, "x")
    assert made.wake(2.0) == ()
    assert made.unacked == 0


def test_joins_that_a_flood_swallowed_are_asked_again() -> None:
    made = at_home()
    made.join(1.0, "t")
    made.receive(1.0, Error("frame_rate", "too many", retry_after_ms=5000))
    assert written(made.wake(6.0)) == [StatusIn("join", "t", replaces=UNSET)]


# Tokens.


RENEWS = ClientConfig(renews=True)


def renewing(*, expires_in_s: float = 900.0) -> ChatClient:
    """A client that has fetched its first token, is open and joined to `s`."""
    made = ChatClient(RENEWS, user="ann", seed=1)
    assert made.start(0.0) == (Renew(0.0),)
    assert made.renewed(0.0, "token", 900.0) == (Dial(0.0),)
    made.join(0.0, "s")
    made.opened(0.0)
    hello = welcome()
    hello.expires_in_s = expires_in_s
    made.receive(0.0, hello)
    made.receive(0.0, joined())
    return made


def test_a_token_about_to_end_is_renewed_and_handed_in() -> None:
    made = renewing()
    assert Renew(0.0) in made.receive(840.0, TokenExpiring(expires_in_s=60.0))
    assert Renew(0.0) not in made.receive(841.0, TokenExpiring(expires_in_s=59.0))
    assert made.renewed(842.0, "new", 900.0) == (Transmit(StatusIn("refresh", token="new")),)


def test_a_client_that_cannot_renew_only_shows_it() -> None:
    assert shown(at_home().receive(1.0, TokenExpiring(expires_in_s=60.0))) != []
    assert not any(isinstance(e, Renew) for e in at_home().receive(1.0, TokenExpiring(expires_in_s=60.0)))


@pytest.mark.parametrize(("left_s", "first"), [(59.0, Renew), (120.0, Dial)])
def test_a_token_with_under_60_s_left_is_renewed_before_dialling(left_s: float, first: type) -> None:
    made = renewing(expires_in_s=left_s)
    [effect] = made.closed(0.0, 1006)
    assert type(effect) is first
    if first is Renew:
        [dial] = made.renewed(0.3, "new", 10.0)
        assert isinstance(dial, Dial)
        # The backoff goes on while the token is fetched.
        assert 0.2 <= dial.after_s <= 0.7


def test_after_4002_the_token_is_new_whatever_was_thought_of_the_old_one() -> None:
    assert renewing().closed(1.0, 4002) == (Renew(0.0),)


def test_a_fetch_that_failed_is_tried_again_with_backoff() -> None:
    made = renewing()
    made.closed(1.0, 4002)
    [effect] = made.renewal_failed(2.0)
    assert isinstance(effect, Renew)
    assert effect.after_s >= 0.5
    made.hang_up(3.0)
    assert made.renewal_failed(4.0) == made.renewed(4.0, "late", 900.0) == ()


def test_a_token_from_before_that_is_refused_is_renewed_once() -> None:
    made = renewing()
    made.closed(1.0, 1006)
    assert made.refused(2.0, 401) == (Renew(0.0),)
    assert made.renewed(2.5, "new", 900.0) == (Dial(0.0),)
    assert made.refused(3.0, 401) == ()
    assert made.state == "idle"


def test_what_an_expired_token_cost_is_asked_again_when_it_is_renewed() -> None:
    made = renewing()
    made.say(901.0, "x", "s", BODY)
    made.join(901.0, "t")
    made.receive(901.1, Error("token_expired", "refresh", "x"))
    made.receive(901.1, Error("token_expired", "refresh"))
    assert made.pending("x")
    assert made.wants("t")
    assert written(made.receive(902.0, Refreshed(expires_in_s=900.0))) == [StatusIn("join", "t"), Say("x", "s", BODY)]


def test_an_ack_at_the_moment_another_is_due_leaves_no_alarm_behind() -> None:
    # Found by exploring (acked-when-due.yaml): the alarm stayed at that moment, and rang there for ever.
    ann = at_home()
    ann.receive(0.0, message(1))
    ann.receive(0.1, message(2))
    due_at = ann.wake_at()
    ann.receive(due_at, message(3))
    ann.receive(due_at, message(4))
    assert ann.wake_at() > due_at
    assert written(ann.wake(ann.wake_at())) == [AckIn("s", 4)]


# What a shell may ask.


def test_it_says_what_is_still_to_be_acked_and_answered() -> None:
    made = at_home()
    made.say(1.0, "a", "s", BODY)
    assert (made.pending("a"), made.pending("b"), made.unacked) == (True, False, 1)
    made.receive(1.1, acked("a"))
    assert (made.pending("a"), made.unacked) == (False, 0)
    assert (made.wants("s"), made.leaving("s")) == (True, False)
    made.leave(2.0, "s")
    assert (made.wants("s"), made.leaving("s")) == (False, True)
    made.receive(2.1, Left(session="s", reason="left"))
    assert made.leaving("s") is False


def test_the_connection_before_this_one_is_known_by_the_servers_name_for_it() -> None:
    made = at_home()
    assert made.former == ""
    named = made.connection
    assert named
    made.closed(5.0, 1006)
    assert made.former == named


def test_who_gives_up_a_join_that_could_not_be_had_just_now_has_nothing_to_take_back() -> None:
    made = at_home()
    made.join(1.0, "t")
    made.receive(1.1, Error("unavailable", "not now", retry_after_ms=500))
    assert made.wants("t")
    assert written(made.leave(1.2, "t")) == []
    assert not made.wants("t")
    # And it is not asked for again.
    assert made.wake_at() > 1.2
    assert [frame for frame in written(made.wake(made.wake_at())) if isinstance(frame, StatusIn)] == []


def test_what_is_told_about_messages_is_shown_and_changes_nothing() -> None:
    made = at_home()
    made.say(1.0, "a", "s", BODY)
    for frame in (
        Delivered(session="s", user="bob", message_ids=("s1-1",)),
        Heartbeat(t=1.0, server_time=2.0, seqs={}),
    ):
        assert shown(made.receive(1.1, frame)) == [frame]
    assert made.pending("a")


def test_a_refusal_of_what_was_withdrawn_is_shown_and_brings_nothing_back() -> None:
    made = at_home()
    made.say(1.0, "a", "s", BODY)
    made.withdraw(1.1, "a")
    refusal = Error("unavailable", "not now", "a", 500)
    assert shown(made.receive(1.2, refusal)) == [refusal]
    assert not made.pending("a")
    assert written(made.wake(made.wake_at())) == []
