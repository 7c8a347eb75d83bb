"""Tokens: who somebody is, and until when.

Decides whether a JWT is good at a given wall time, and mints new ones; PyJWT's algorithms make and check signatures.
Rule: `verify` is pure and never raises, whatever the text; the clock is an argument; `exp` and `nbf` know no leeway.
What follows from a refusal (an HTTP status, a close code), and what is revoked, is left to the shell and the handler.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, Literal, TypeAlias

import jwt
import msgspec
from msgspec import Meta

from chatsim.core.config import ALGORITHMS, HandlerConfig
from chatsim.core.frames import Name
from chatsim.errors import UsageError

KEYS_MAX = 2
"""Keys that are good at once, so that one can be rotated out."""

SECRET_BYTES_MIN = 32
"""An HMAC secret has as many bytes as the hash: RFC 7518, section 3.2, for HS256."""

IAT_AHEAD_S_MAX = 1.0
"""How far an issuer's clock may be ahead of ours in `iat`, which says when a token was made and not since when it
holds: one that is fetched and used at once, or made just before our clock was set back a little, is no forgery.
`nbf` and `exp` are what an issuer says about that, and are taken at their word."""

TOKEN_BYTES_MAX = 8192
"""Longer texts are refused before any work is spent on them."""

RESERVED = "@"
"""How the server's own names begin: no user has such a name, or her messages would be taken for the server's."""

RefusalCode: TypeAlias = Literal["token_missing", "token_invalid", "token_expired", "token_revoked"]


class Claims(msgspec.Struct, array_like=True, gc=False):
    """What a good token says. Moments are wall time in seconds since the Unix epoch.

    `sessions` are the sessions that the bearer may join, None where the token says nothing about them.
    """

    sub: str
    exp: float
    iat: float | None = None
    nbf: float | None = None
    jti: str | None = None
    sessions: tuple[str, ...] | None = None


class Refusal(msgspec.Struct, array_like=True, gc=False):
    """A token that is no good: the code of the protocol, and one sentence about it that quotes nothing of the token."""

    code: RefusalCode
    detail: str


class _Header(msgspec.Struct, gc=False):
    alg: str
    crit: Any = None
    b64: Any = None


class _Payload(msgspec.Struct, gc=False):
    """Shape of the claims; numbers are JSON numbers (no booleans, no texts)."""

    sub: Name
    exp: float
    iat: float | None = None
    nbf: float | None = None
    jti: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    aud: str | tuple[str, ...] | None = None
    iss: str | None = None
    sessions: tuple[Name, ...] | None = None


_header_decoder = msgspec.json.Decoder(_Header)
_payload_decoder = msgspec.json.Decoder(_Payload)

_MISSING = Refusal("token_missing", "a token is needed")
_NO_JWT = Refusal("token_invalid", "not a JSON Web Token")
_ALGORITHM = Refusal("token_invalid", "the token's algorithm is not one of those allowed")
_SIGNATURE = Refusal("token_invalid", "the token's signature is wrong")
_CLAIMS = Refusal("token_invalid", "the token's claims are not of the right kind: sub and exp are needed")
_RESERVED = Refusal("token_invalid", f"the token's user begins with {RESERVED}, as the server's own names do")
_AUDIENCE = Refusal("token_invalid", "the token is for another audience")
_ISSUER = Refusal("token_invalid", "the token is from another issuer")
_EARLY = Refusal("token_invalid", "the token is not valid yet")
_EXPIRED = Refusal("token_expired", "the token has expired: get a new one")


class Keys:
    """Up to two keys and the pinned algorithms, with the key objects made once."""

    __slots__ = ("_checks", "algorithms")

    def __init__(self, keys: tuple[bytes, ...], algorithms: tuple[str, ...] = ("HS256",)) -> None:
        """`keys` are secrets (HS256) or PEM texts. Raises UsageError where a key is too short or fits no algorithm."""
        if not 1 <= len(keys) <= KEYS_MAX:
            raise UsageError(f"Tokens need one key, or {KEYS_MAX} while one is being replaced: {len(keys)} were given.")
        self.algorithms = algorithms
        self._checks: dict[str, list[tuple[Any, Any]]] = {name: [] for name in algorithms}
        for key in keys:
            problems = [self._add(name, key) for name in algorithms]
            if all(problems):
                raise UsageError(f"The token key does not fit {' or '.join(algorithms)}: {problems[0]}.")

    def _add(self, name: str, key: bytes) -> str:
        """Prepare a key for one algorithm; what is wrong with it, or nothing."""
        prepared = _prepare(name, key)
        if isinstance(prepared, _Unfit):
            return prepared.why
        algorithm = jwt.get_algorithm_by_name(name)
        self._checks[name].append((algorithm, prepared.public_key() if hasattr(prepared, "public_key") else prepared))
        return ""

    def signed(self, algorithm: str, text: bytes, signature: bytes) -> bool:
        """Whether one of the keys has signed `text`; an algorithm that is not pinned has no key."""
        return any(check.verify(text, key, signature) for check, key in self._checks.get(algorithm, ()))


class _Unfit:
    """Why a key cannot be used."""

    def __init__(self, why: str) -> None:
        self.why = why


def _prepare(name: str, key: bytes) -> Any:
    """The key object of PyJWT, which refuses public keys as HMAC secrets and the other way round, or `_Unfit`."""
    if name not in ALGORITHMS:
        return _Unfit(f"{name} is not one of {', '.join(ALGORITHMS)}")
    if name == "HS256" and len(key) < SECRET_BYTES_MIN:
        return _Unfit(f"a secret has at least {SECRET_BYTES_MIN} bytes, this one has {len(key)}")
    try:
        return jwt.get_algorithm_by_name(name).prepare_key(key)
    except (jwt.PyJWTError, ValueError, TypeError):
        # PyJWT's own text may quote the key, so it is not passed on.
        return _Unfit("HS256 wants a secret, the others a key in PEM of their own kind")


def verify(
    token: str, keys: Keys, wall: float, *, audience: str | None = None, issuer: str | None = None
) -> Claims | Refusal:
    """The claims of a good token, or why it is refused; never raises, whatever the text.

    `wall` is the present in seconds since the Unix epoch: a token whose `exp` is not after it has expired.
    `audience` and `issuer` are compared only where they are set; a token that was made for others is refused then.
    """
    if not token:
        return _MISSING
    parts = _parts(token)
    if parts is None:
        return _NO_JWT
    header, payload, text, signature = parts
    if header.crit is not None or header.b64 not in (None, True):
        return Refusal("token_invalid", "the token's header asks for extensions that are not understood")
    if header.alg not in keys.algorithms:
        return _ALGORITHM
    if not keys.signed(header.alg, text, signature):
        return _SIGNATURE
    try:
        said = _payload_decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _CLAIMS
    return _judge(said, wall, audience, issuer)


def _judge(said: _Payload, wall: float, audience: str | None, issuer: str | None) -> Claims | Refusal:
    """Claims whose signature is good, against the clock and the settings."""
    if said.sub.startswith(RESERVED):
        return _RESERVED
    if audience is not None and audience != said.aud and not (isinstance(said.aud, tuple) and audience in said.aud):
        return _AUDIENCE
    if issuer is not None and issuer != said.iss:
        return _ISSUER
    claims = Claims(said.sub, said.exp, said.iat, said.nbf, said.jti, said.sessions)
    return untimely(claims, wall) or claims


def untimely(claims: Claims, wall: float) -> Refusal | None:
    """Why claims that are good in every other way do not hold at that wall time (s since 1970); None if they do."""
    made_by = wall + IAT_AHEAD_S_MAX
    if (claims.nbf is not None and claims.nbf > wall) or (claims.iat is not None and claims.iat > made_by):
        return _EARLY
    return _EXPIRED if claims.exp <= wall else None


def _parts(token: str) -> tuple[_Header, bytes, bytes, bytes] | None:
    """Header, payload, signed text and signature of a compact JWT, or None where it is none."""
    if len(token) > TOKEN_BYTES_MAX or not token.isascii():
        return None
    segments = token.encode("ascii").split(b".")
    if len(segments) != 3:
        return None
    try:
        header = _header_decoder.decode(_unpack(segments[0]))
        return header, _unpack(segments[1]), segments[0] + b"." + segments[1], _unpack(segments[2])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, binascii.Error):
        return None


def _unpack(segment: bytes) -> bytes:
    """Bytes of a base64url segment; raises binascii.Error where a character or the spare bits are wrong."""
    data = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    # The decoder skips what it does not know, so that many texts would stand for one token.
    if urlsafe_b64encode(data).rstrip(b"=") != segment:
        raise binascii.Error("not the canonical base64url of anything")
    return data


def _pack(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def can_sign(key: bytes, algorithm: str) -> bool:
    """Whether `issue` can make tokens with this key: a secret, or a private key of the algorithm's kind."""
    prepared = _prepare(algorithm, key)
    return not isinstance(prepared, _Unfit) and (algorithm == "HS256" or hasattr(prepared, "public_key"))


def issue(
    key: bytes,
    algorithm: str,
    *,
    sub: str,
    exp: float,
    wall: float,
    jti: str,
    sessions: tuple[str, ...] | None = None,
    nbf: float | None = None,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """A new token. `exp`, `nbf` and `wall` (which becomes `iat`) are seconds since the Unix epoch.

    `key` is the secret, or the private key in PEM. Raises UsageError where it does not fit the algorithm.
    """
    prepared = _prepare(algorithm, key)
    if isinstance(prepared, _Unfit):
        raise UsageError(f"The token key does not fit {algorithm}: {prepared.why}.")
    if algorithm != "HS256" and not hasattr(prepared, "public_key"):
        raise UsageError(f"Minting {algorithm} tokens needs the private key, and this is the public one.")
    claims: dict[str, Any] = {"sub": sub, "exp": exp, "iat": wall, "jti": jti}
    for name, value in (("nbf", nbf), ("aud", audience), ("iss", issuer), ("sessions", sessions)):
        if value is not None:
            claims[name] = value
    head = _pack(msgspec.json.encode({"typ": "JWT", "alg": algorithm}))
    text = head + b"." + _pack(msgspec.json.encode(claims))
    signature: bytes = jwt.get_algorithm_by_name(algorithm).sign(text, prepared)
    return (text + b"." + _pack(signature)).decode("ascii")


class Minter(msgspec.Struct, frozen=True):
    """What it takes to make tokens: the signing key (secret or private PEM), its algorithm, and who they are for."""

    key: bytes
    algorithm: str
    audience: str | None = None
    issuer: str | None = None

    def mint(self, sub: str, ttl_s: float, *, wall: float, jti: str, sessions: tuple[str, ...] | None = None) -> str:
        """A token that is good for `ttl_s` seconds from `wall` (seconds since the Unix epoch)."""
        return issue(
            self.key,
            self.algorithm,
            sub=sub,
            exp=wall + ttl_s,
            wall=wall,
            jti=jti,
            sessions=sessions,
            audience=self.audience,
            issuer=self.issuer,
        )


def minter_of(key: bytes, config: HandlerConfig) -> Minter | None:
    """Makes the tokens that a handler of this configuration takes, with the first algorithm that the key can sign with.

    None for a key that only checks what somebody else has signed.
    """
    fit = [name for name in config.algorithms if can_sign(key, name)]
    return Minter(key, fit[0], config.audience, config.issuer) if fit else None
