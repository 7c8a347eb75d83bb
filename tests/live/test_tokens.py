"""Each kind of credentials is refused for its own reason, and the good one is not."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from chatsim.core.client import ChatClient, ClientConfig
from chatsim.core.tokens import Claims, Keys, Minter, Refusal, verify
from chatsim.errors import UsageError
from chatsim.live.tokens import Purse, forger_of
from chatsim.people.people import Device, Person
from chatsim.people.tokens import HELD_MAX
from chatsim.scenario.events import HandedIn
from chatsim.scenario.model import Scenario

SECRET = b"0123456789abcdef0123456789abcdef"
WALL = 1.7e9


def scenario(credentials: str, *events: dict[str, Any], **handler: Any) -> Scenario:
    group = {"name": "g", "users": 1, "credentials": credentials, "token_ttl": "90s"}
    head = {"name": "x", "duration": "1s", "expect": ["lost == 0"]}
    return Scenario.of(head | {"handler": handler, "groups": [group], "events": list(events)})


def a_device() -> Device:
    return Device(0, Person(0, "ann", "g", "g-s0001", typing=False), ChatClient(ClientConfig(), user="ann", seed=1))


@pytest.mark.parametrize(
    ("credentials", "code"),
    [("forged", "token_invalid"), ("alg_none", "token_invalid"), ("expired", "token_expired")],
)
def test_bad_credentials_are_refused(credentials: str, code: str) -> None:
    token = Purse(scenario(credentials), SECRET).token(a_device(), WALL)
    assert token is not None
    found = verify(token, Keys((SECRET,)), WALL)
    assert isinstance(found, Refusal)
    assert found.code == code


def test_missing_credentials_are_none() -> None:
    assert Purse(scenario("missing"), SECRET).token(a_device(), WALL) is None


def test_good_credentials_open_the_persons_session_for_their_time() -> None:
    purse = Purse(scenario("good", audience="chat", issuer="us"), SECRET)
    token = purse.token(a_device(), WALL)
    assert token is not None
    found = verify(token, Keys((SECRET,)), WALL, audience="chat", issuer="us")
    assert isinstance(found, Claims)
    assert (found.sub, found.exp, found.sessions) == ("ann", WALL + 90.0, ("g-s0001",))
    soon = verify(purse.expiring(a_device(), WALL, 0.5), Keys((SECRET,)), WALL, audience="chat", issuer="us")
    assert isinstance(soon, Claims)
    assert soon.exp == WALL + 0.5


def test_revoked_credentials_are_good_but_for_their_name() -> None:
    assert Purse(scenario("good"), SECRET).spoilt == ()
    purse = Purse(scenario("revoked"), SECRET)
    found = [verify(purse.token(a_device(), WALL) or "", Keys((SECRET,)), WALL) for _ in range(2)]
    assert [(claim.jti,) for claim in found if isinstance(claim, Claims)] == [purse.spoilt] * 2


@pytest.mark.parametrize(
    ("kind", "refused"),
    [("good", ""), ("foreign", ""), ("revoked", ""), ("expired", "token_expired"), ("forged", "token_invalid")],
)
def test_what_is_handed_in_is_good_or_wrong_in_one_way(kind: HandedIn, refused: str) -> None:
    event = {"at": "0s", "do": "refresh_token", "token": kind}
    purse, device = Purse(scenario("good", event), SECRET), a_device()
    assert purse.spoilt == (("revoked",) if kind == "revoked" else ())
    found = verify(purse.handed_in(device, WALL, kind), Keys((SECRET,)), WALL)
    if isinstance(found, Claims):
        assert refused == ""
        assert (found.sub == "ann") == (kind != "foreign")
        assert (found.jti in purse.spoilt) == (kind == "revoked")
        assert found.exp == WALL + 90.0
        assert (found.jti in purse.held(device, WALL)) == (kind == "good")
    else:
        assert found.code == refused


@pytest.mark.parametrize("kind", ["good", "expired", "revoked", "forged", "alg_none"])
def test_what_the_server_has_not_signed_is_known_by_name(kind: str) -> None:
    purse = Purse(scenario(kind), SECRET)
    purse.token(a_device(), WALL)
    purse.token(a_device(), WALL)
    assert purse.forged == ({"t1", "t2"} if kind in ("forged", "alg_none") else set())


def test_so_is_what_is_handed_in() -> None:
    purse = Purse(scenario("good"), SECRET)
    for kind in get_args(HandedIn):
        purse.handed_in(a_device(), WALL, kind)
    assert len(purse.forged) == 1


def test_what_a_device_holds_is_remembered_until_it_ends() -> None:
    purse, device = Purse(scenario("good"), SECRET), a_device()
    assert purse.held(device, WALL) == ()
    tokens = [purse.token(device, WALL), purse.expiring(device, WALL, 5.0), purse.token(device, WALL + 1.0)]
    found = [verify(token or "", Keys((SECRET,)), WALL + 1.0) for token in tokens]
    names = [claims.jti for claims in found if isinstance(claims, Claims)]
    assert purse.held(device, WALL) == tuple(reversed(names))
    assert purse.held(device, WALL + 5.0) == (names[2], names[0])
    assert purse.held(device, WALL + 91.0) == ()
    for _ in range(2 * HELD_MAX):
        purse.token(device, WALL)
    assert len(purse.held(device, WALL)) == HELD_MAX


def test_what_cannot_be_minted_is_refused_before_the_run() -> None:
    with pytest.raises(UsageError, match="HS256"):
        Purse(scenario("good", algorithms=["EdDSA"]), SECRET)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_tokens_for_another_server_are_signed_with_its_key_and_forged_ones_with_one_of_its_kind(algorithm: str) -> None:
    key = forger_of(algorithm)
    minter = Minter(key, algorithm, audience="chat", issuer="us")
    keys = Keys((key,), (algorithm,))
    good = Purse(scenario("good"), b"", minter, "mark-").token(a_device(), WALL)
    assert good is not None
    claims = verify(good, keys, WALL, audience="chat", issuer="us")
    assert isinstance(claims, Claims)
    assert claims.jti == "mark-t1"
    forged = Purse(scenario("forged"), b"", minter).token(a_device(), WALL)
    assert forged is not None
    refusal = verify(forged, keys, WALL, audience="chat", issuer="us")
    assert isinstance(refusal, Refusal)
    assert "signature" in refusal.detail


def test_revoked_tokens_for_another_server_have_a_name_that_no_other_run_has() -> None:
    purse = Purse(scenario("revoked"), b"", Minter(SECRET, "HS256"), "mark-")
    token = purse.token(a_device(), WALL)
    assert token is not None
    claims = verify(token, Keys((SECRET,)), WALL)
    assert isinstance(claims, Claims)
    assert (claims.jti,) == purse.spoilt == ("mark-revoked",)


def test_a_stranger_belongs_to_no_session() -> None:
    claims = verify(Purse(scenario("good"), SECRET).stranger("eve", WALL), Keys((SECRET,)), WALL)
    assert isinstance(claims, Claims)
    assert (claims.sub, claims.sessions) == ("eve", ())
