"""Invariant: `verify` never raises, and a token is good only if a configured key signed it and its claims hold now."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from chatsim.core.config import HandlerConfig
from chatsim.core.tokens import (
    IAT_AHEAD_S_MAX,
    SECRET_BYTES_MIN,
    TOKEN_BYTES_MAX,
    Claims,
    Keys,
    Refusal,
    can_sign,
    issue,
    minter_of,
    untimely,
    verify,
)
from chatsim.errors import UsageError

SECRET = b"a secret of thirty-two bytes or more"
OTHER = b"quite another secret, as long as that"
WALL = 1_700_000_000.0
KEYS = Keys((SECRET,))


def _pem(private: Any) -> tuple[bytes, bytes]:
    """Private and public key in PEM."""
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


RSA = _pem(rsa.generate_private_key(65537, 2048))
EC = _pem(ec.generate_private_key(ec.SECP256R1()))
ED = _pem(ed25519.Ed25519PrivateKey.generate())


def good(**changes: Any) -> str:
    """A token of Ann's that is good for a minute."""
    said: dict[str, Any] = {"sub": "ann", "exp": WALL + 60, "wall": WALL, "jti": "t1"} | changes
    return issue(SECRET, "HS256", **said)


def signed(payload: object, header: dict[str, Any] | None = None, key: bytes = SECRET) -> str:
    """Any payload under any header, signed with HMAC by hand."""
    return raw(json.dumps(header or {"alg": "HS256"}).encode(), json.dumps(payload).encode(), key)


def raw(header: bytes, payload: bytes, key: bytes = SECRET) -> str:
    text = pack(header) + b"." + pack(payload)
    return (text + b"." + pack(hmac.new(key, text, hashlib.sha256).digest())).decode()


def pack(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def refused(token: str, code: str = "token_invalid", keys: Keys = KEYS, wall: float = WALL, **settings: str) -> bool:
    found = verify(token, keys, wall, **settings)
    return isinstance(found, Refusal) and found.code == code


def test_a_good_token_gives_its_claims() -> None:
    token = good(sessions=("room", "hall"), nbf=WALL)
    assert verify(token, KEYS, WALL) == Claims("ann", WALL + 60, WALL, WALL, "t1", ("room", "hall"))


@pytest.mark.parametrize(("algorithm", "pair"), [("RS256", RSA), ("ES256", EC), ("EdDSA", ED)])
def test_public_keys_verify_what_private_keys_sign(algorithm: str, pair: tuple[bytes, bytes]) -> None:
    private, public = pair
    token = issue(private, algorithm, sub="ann", exp=WALL + 1, wall=WALL, jti="t")
    for key in (public, private):
        assert isinstance(verify(token, Keys((key,), (algorithm,)), WALL), Claims)
    assert refused(token)
    with pytest.raises(UsageError, match="private"):
        issue(public, algorithm, sub="ann", exp=WALL + 1, wall=WALL, jti="t")


def test_tokens_are_those_of_any_other_library() -> None:
    assert jwt.decode(good(), SECRET, ["HS256"], options={"verify_exp": False})["sub"] == "ann"
    foreign = jwt.encode({"sub": "bob", "exp": int(WALL) + 5, "aud": ["a", "b"], "extra": [1]}, SECRET, "HS256")
    assert verify(foreign, KEYS, WALL) == Claims("bob", WALL + 5)


def test_two_keys_are_good_at_once() -> None:
    both = Keys((SECRET, OTHER))
    for key in (SECRET, OTHER):
        assert isinstance(verify(signed({"sub": "a", "exp": WALL + 1}, key=key), both, WALL), Claims)
    assert refused(signed({"sub": "a", "exp": WALL + 1}, key=OTHER))


@pytest.mark.parametrize("user", ["@server", "@", "@ann"])
def test_nobody_has_a_name_of_the_server(user: str) -> None:
    token = good(sub=user)
    assert refused(token)
    found = verify(token, KEYS, WALL)
    assert isinstance(found, Refusal)
    assert "server" in found.detail
    assert isinstance(verify(good(sub="ann@example.org"), KEYS, WALL), Claims)


def test_no_token_is_missing() -> None:
    assert refused("", "token_missing")


def test_expiry_has_no_leeway() -> None:
    token = good(exp=WALL + 60)
    assert isinstance(verify(token, KEYS, WALL + 59.999), Claims)
    assert refused(token, "token_expired", wall=WALL + 60)


def test_not_yet_valid_is_refused() -> None:
    for claim, leeway_s in (("nbf", 0.0), ("iat", IAT_AHEAD_S_MAX)):
        assert refused(signed({"sub": "a", "exp": WALL + 99, claim: WALL + leeway_s + 0.001}))
        near = signed({"sub": "a", "exp": WALL + 99, claim: WALL + leeway_s})
        assert isinstance(verify(near, KEYS, WALL), Claims)


def test_claims_hold_from_a_second_before_their_making_to_their_end() -> None:
    claims = Claims("ann", WALL + 60, iat=WALL)
    found = {ahead: untimely(claims, WALL + ahead) for ahead in (-1.5, -1.0, 0.0, 59.9, 60.0)}
    assert {ahead: refusal and refusal.code for ahead, refusal in found.items()} == {
        -1.5: "token_invalid", -1.0: None, 0.0: None, 59.9: None, 60.0: "token_expired",
    }  # fmt: skip
    assert untimely(Claims("ann", WALL + 60, nbf=WALL + 0.001), WALL)
    assert not untimely(Claims("ann", WALL + 60), 0.0), "a token that does not say since when is good since ever"


def test_audience_and_issuer_count_where_configured() -> None:
    token = good(audience="chat", issuer="us")
    assert isinstance(verify(token, KEYS, WALL, audience="chat", issuer="us"), Claims)
    assert isinstance(verify(token, KEYS, WALL), Claims)
    assert refused(token, audience="mail")
    assert refused(token, issuer="them")
    assert refused(good(), audience="chat")
    listed = signed({"sub": "a", "exp": WALL + 1, "aud": ["mail", "chat"]})
    assert isinstance(verify(listed, KEYS, WALL, audience="chat"), Claims)


@pytest.mark.parametrize("alg", ["none", "None", "", "HS512", "RS256", "hs256"])
def test_only_pinned_algorithms_count(alg: str) -> None:
    assert refused(signed({"sub": "a", "exp": WALL + 1}, {"alg": alg}))


def test_unsigned_tokens_are_refused() -> None:
    unsigned = jwt.encode({"sub": "a", "exp": WALL + 1}, "", "none")
    assert refused(unsigned)
    assert refused(good().rpartition(".")[0] + ".")


def test_a_public_key_is_no_secret() -> None:
    public = RSA[1]
    token = raw(b'{"alg":"HS256"}', json.dumps({"sub": "a", "exp": WALL + 1}).encode(), public)
    assert refused(token, keys=Keys((public,), ("RS256",)))
    assert refused(token, keys=Keys((public,), ("RS256", "HS256")))
    with pytest.raises(UsageError, match="does not fit"):
        Keys((public,), ("HS256",))


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": WALL + 1},
        {"sub": "a"},
        {"sub": "", "exp": WALL + 1},
        {"sub": "a" * 129, "exp": WALL + 1},
        {"sub": 7, "exp": WALL + 1},
        {"sub": "a", "exp": str(WALL + 1)},
        {"sub": "a", "exp": True},
        {"sub": "a", "exp": None},
        {"sub": "a", "exp": 10**400},
        {"sub": "a", "exp": WALL + 1, "nbf": "soon"},
        {"sub": "a", "exp": WALL + 1, "sessions": "room"},
        {"sub": "a", "exp": WALL + 1, "sessions": [1]},
        {"sub": "a", "exp": WALL + 1, "sessions": [""]},
        {"sub": "a", "exp": WALL + 1, "jti": 4},
        {"sub": "a", "exp": WALL + 1, "jti": ""},
        {"sub": "\ud800", "exp": WALL + 1},
        ["sub", "exp"],
        "sub",
    ],
)
def test_claims_of_the_wrong_kind_are_refused(claims: object) -> None:
    assert refused(signed(claims))


@pytest.mark.parametrize("header", [{"alg": "HS256", "crit": ["x"]}, {"alg": "HS256", "b64": False}, {}, [], "HS256"])
def test_headers_that_ask_for_more_are_refused(header: Any) -> None:
    assert refused(raw(json.dumps(header).encode(), json.dumps({"sub": "a", "exp": WALL + 1}).encode()))


def test_longest_sub_is_good() -> None:
    assert isinstance(verify(good(sub="a" * 128), KEYS, WALL), Claims)


def test_a_huge_token_is_refused_unread() -> None:
    assert refused(good(sessions=("x" * 128,) * (TOKEN_BYTES_MAX // 128)))


@given(place=st.integers(0, 500), flip=st.integers(1, 127))
def test_a_changed_token_is_refused(place: int, flip: int) -> None:
    token = good()
    place %= len(token)
    changed = token[:place] + chr(ord(token[place]) ^ flip) + token[place + 1 :]
    assert isinstance(verify(changed, KEYS, WALL), Refusal)


@given(st.one_of(st.text(), st.binary().map(lambda b: b.decode("latin-1"))))
def test_any_text_is_judged(text: str) -> None:
    assert isinstance(verify(text, KEYS, WALL), Refusal)


@given(header=st.binary(max_size=40), payload=st.binary(max_size=80))
def test_any_signed_bytes_are_judged(header: bytes, payload: bytes) -> None:
    assert isinstance(verify(raw(header, payload), KEYS, WALL), Refusal)
    assert isinstance(verify(raw(b'{"alg":"HS256"}', payload), KEYS, WALL), Refusal)


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["sub", "exp", "nbf", "iat", "jti", "aud", "iss", "sessions"]), _json))
def test_any_signed_claims_are_judged(claims: dict[str, Any]) -> None:
    assert isinstance(verify(signed(claims), KEYS, WALL, audience="chat"), Claims | Refusal)


def test_deep_nesting_is_judged() -> None:
    assert refused(raw(b'{"alg":"HS256"}', b'{"sub":"a","exp":1,"x":' + b"[" * 3000))
    assert refused(raw(b'{"alg":' + b"[" * 3000, b"{}"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Keys(()),
        lambda: Keys((SECRET,) * 3),
        lambda: Keys((b"short",)),
        lambda: Keys((b"s" * (SECRET_BYTES_MIN - 1),)),
        lambda: Keys((SECRET,), ("RS256",)),
        lambda: Keys((SECRET,), ("none",)),
        lambda: Keys((EC[1],), ("RS256",)),
        lambda: Keys((b"-----BEGIN PUBLIC KEY-----\nbroken\n-----END PUBLIC KEY-----",), ("EdDSA",)),
        lambda: issue(b"short", "HS256", sub="a", exp=1, wall=0, jti="t"),
        lambda: issue(SECRET, "none", sub="a", exp=1, wall=0, jti="t"),
    ],
)
def test_unfit_keys_are_a_persons_fault(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError) as problem:
        make()
    assert "\n" not in str(problem.value)
    assert "short" not in str(problem.value)


def test_no_refusal_quotes_the_token() -> None:
    token = signed({"sub": "secretly", "exp": "never"})
    found = verify(token, KEYS, WALL)
    assert isinstance(found, Refusal)
    assert "secretly" not in found.detail
    assert "never" not in found.detail


def test_a_secret_is_as_long_as_its_hash() -> None:
    assert SECRET_BYTES_MIN == 32
    assert Keys((b"s" * SECRET_BYTES_MIN,)).algorithms == ("HS256",)


def test_who_can_sign() -> None:
    for algorithm, (private, public) in {"RS256": RSA, "ES256": EC, "EdDSA": ED}.items():
        assert can_sign(private, algorithm)
        assert not can_sign(public, algorithm)
        assert not can_sign(private, "HS256")
    assert can_sign(b"s" * 32, "HS256")
    assert not can_sign(b"s" * 32, "ES256")


def test_tokens_are_made_as_the_configuration_wants_them() -> None:
    config = HandlerConfig(algorithms=("RS256", "ES256"), audience="chat", issuer="us")
    minter = minter_of(EC[0], config)
    assert minter is not None
    token = minter.mint("ann", 60.0, wall=WALL, jti="t", sessions=("room",))
    found = verify(token, Keys((EC[1],), ("ES256",)), WALL, audience="chat", issuer="us")
    assert found == Claims("ann", WALL + 60.0, WALL, None, "t", ("room",))
    assert minter_of(EC[1], config) is None
    assert minter_of(ED[0], config) is None
