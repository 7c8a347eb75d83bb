"""How far receivers have come: one note for all that moved, a second after the first."""

from __future__ import annotations

from math import inf

from chatsim.core.config import HandlerConfig
from chatsim.core.delivery import Ledger
from chatsim.core.effects import Note
from chatsim.core.facts import Parted, Position
from chatsim.core.limiter import make_limiter
from chatsim.core.pool import Member, Session, User
from chatsim.core.positions import EVERY_S, Positions

CONFIG = HandlerConfig()


def member(name: str) -> Member:
    session = Session("s", seq=7)
    made = session.members[name] = Member(session, User(name, make_limiter(CONFIG)))
    return made


def test_nothing_moves_nothing_is_noted() -> None:
    positions = Positions(kept=True)
    assert positions.next_at == inf
    assert positions.wake(100.0, Ledger(CONFIG)) == []


def test_what_moved_is_noted_together_and_once() -> None:
    positions, ledger = Positions(kept=True), Ledger(CONFIG)
    ann, bob = member("ann"), member("bob")
    positions.moved(3.0, ann)
    positions.moved(3.5, bob)
    positions.moved(3.9, ann)
    assert positions.next_at == 3.0 + EVERY_S
    assert positions.wake(3.9, ledger) == []
    assert positions.wake(4.0, ledger) == [Note(Position("s", "ann", 7)), Note(Position("s", "bob", 7))]
    assert positions.next_at == inf
    assert positions.wake(9.0, ledger) == []


def test_who_comes_is_noted_at_once() -> None:
    ann = member("ann")
    assert Positions(kept=True).came(ann) == [Note(Position("s", "ann", 7))]
    assert Positions(kept=False).came(ann) == []


def test_who_parts_is_noted_at_once_and_not_again() -> None:
    positions, ann = Positions(kept=True), member("ann")
    positions.moved(3.0, ann)
    assert positions.parted(ann) == [Note(Parted("s", "ann"))]
    assert positions.wake(4.0, Ledger(CONFIG)) == []


def test_who_was_taken_out_meanwhile_is_not_noted() -> None:
    positions, ann = Positions(kept=True), member("ann")
    positions.moved(3.0, ann)
    ann.session.members.clear()
    assert positions.wake(4.0, Ledger(CONFIG)) == []


def test_a_log_that_forgets_is_told_nothing() -> None:
    positions, ann = Positions(kept=False), member("ann")
    positions.moved(3.0, ann)
    assert positions.next_at == inf
    assert positions.parted(ann) == []


def test_who_was_put_out_meanwhile_is_not_noted() -> None:
    positions, ann = Positions(kept=True), member("ann")
    positions.moved(3.0, ann)
    ann.session.members.clear()
    assert positions.put_out(ann.session, "ann") == [Note(Parted("s", "ann"))]
    assert positions.wake(4.0, Ledger(CONFIG)) == []
    assert Positions(kept=False).put_out(ann.session, "ann") == []
