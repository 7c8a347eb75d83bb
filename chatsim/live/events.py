"""What the server writes about itself: events with fields, as JSON lines or as short lines for people.

Decides how a line looks, and that no secret is in one. Rule: whatever is written goes through `redact` as a whole, the
lines of uvicorn, websockets and asyncio and every traceback included; nothing is said of a single frame or message, and
what may happen thousands of times a second is told once a second.
What is worth telling is left to those who see it; the core tells nothing.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import inf
from typing import Any, TextIO

LOGGER = logging.getLogger("chatsim")
# Who serves without asking for a log gets none, instead of Python's last resort.
LOGGER.addHandler(logging.NullHandler())

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

REDACTED = "[redacted]"

OFTEN_S = 1.0
"""How long after one line of a kind the next one waits, at any level but debug."""

SECRET_CHARACTERS_MIN = 8
"""Shorter secrets are not looked for as such: half of what is written would be taken for one."""

_LIBRARIES = ("asyncio", "uvicorn", "websockets")
_END = r"""[^\s"'\\,;&<>()\[\]{}]+"""
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A whole header, whatever its scheme, as text or as the pairs of bytes that ASGI makes of it.
    (re.compile(r"""(?i)(authorization\\*['"]?\s*[:=,]\s*b?\\*['"]?)[^\s"'\\]+(\s+[^\s"'\\]+)?"""), rf"\1{REDACTED}"),
    (re.compile(rf"(?i)\b(bearer(?:[\s.+]|%20|%2e)+){_END}"), rf"\1{REDACTED}"),
    (re.compile(rf"""(?i)(token(?:=|%3d)b?\\*['"]?){_END}"""), rf"\1{REDACTED}"),
    (re.compile(r"""(?i)(token\\*['"]\s*:\s*b?\\*['"])[^"'\\]+"""), rf"\1{REDACTED}"),
    # A JWT begins with the base64 of `{"`; its dots may be escaped.
    (re.compile(r"\beyJ[\w-]{4,}(?:(?:\.|%2e|%2E)[\w-]*)*"), REDACTED),
)
_PLAIN = re.compile(r"[\w./:@%+\[\]-]+")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without tokens, in any of the ways in which one is handed in, and without these secrets."""
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def tell(level: int, event: str, **fields: Any) -> None:
    """Tell of one event; `fields` are numbers and texts, durations in seconds."""
    if LOGGER.isEnabledFor(level):
        LOGGER.log(level, event, extra={"fields": fields})


class Often:
    """Tells of what a crowd, or a failing disk, may cause thousands of times a second: the first at once, then one line
    a second and kind, whose `count` says for how many it stands. At level debug each has its line."""

    def __init__(self) -> None:
        self._told_at: dict[tuple[str, str], float] = {}
        self._untold: dict[tuple[str, str], int] = {}

    def tell(self, now: float, level: int, event: str, kind: str = "", **fields: Any) -> None:
        """Tell of an event at `now` (s), or count it for the next line; a `kind` is one of a few words."""
        if not LOGGER.isEnabledFor(level):
            return
        key = event, kind
        count = self._untold.pop(key, 0) + 1
        if now - self._told_at.get(key, -inf) < OFTEN_S and not LOGGER.isEnabledFor(logging.DEBUG):
            self._untold[key] = count
            return
        self._told_at[key] = now
        tell(level, event, **({"reason": kind} if kind else {}), **fields, count=count)


@contextlib.contextmanager
def written_to(stream: TextIO, *, as_json: bool, level: int, secrets: Iterable[bytes] = ()) -> Iterator[None]:
    """Have everything that is logged in this process written to the stream, one line each, while the context lasts.

    `secrets` (keys, the admin key) are never written. Libraries are heard from level warning on, at debug as we are.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Lines(as_json, _texts(secrets)))
    root = logging.getLogger()
    libraries = [logging.getLogger(name) for name in _LIBRARIES]
    levels = [(logger, logger.level) for logger in (root, LOGGER, *libraries)]
    raising, logging.raiseExceptions = logging.raiseExceptions, False
    root.addHandler(handler)
    root.setLevel(level)
    LOGGER.setLevel(level)
    for library in libraries:
        library.setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
    try:
        yield
    finally:
        root.removeHandler(handler)
        logging.raiseExceptions = raising
        for logger, before in levels:
            logger.setLevel(before)


def _texts(secrets: Iterable[bytes]) -> tuple[str, ...]:
    """The secrets as they would stand in a line, plain or as JSON; the lines of a PEM one by one."""
    found = set()
    for secret in secrets:
        for line in secret.decode("utf-8", "replace").splitlines():
            if len(line) >= SECRET_CHARACTERS_MIN and not line.startswith("-----"):
                found |= {line, json.dumps(line)[1:-1]}
    return tuple(sorted(found, key=len, reverse=True))


class _Lines(logging.Formatter):
    """One line for each record, JSON or for people."""

    def __init__(self, as_json: bool, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._make = self._json if as_json else self._short
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = dict(getattr(record, "fields", {}))
        if record.name != LOGGER.name:
            fields["logger"] = record.name
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        at = datetime.fromtimestamp(record.created, UTC)
        return redact(self._make(at, record.levelname.lower(), record.getMessage(), fields), self._secrets)

    def _json(self, at: datetime, level: str, event: str, fields: dict[str, Any]) -> str:
        head = {"time": at.isoformat(timespec="milliseconds"), "level": level, "event": event}
        return json.dumps(head | fields, default=str)

    def _short(self, at: datetime, level: str, event: str, fields: dict[str, Any]) -> str:
        trace = fields.pop("trace", "")
        said = " ".join(f"{name}={_value(value)}" for name, value in fields.items())
        line = f"{at:%H:%M:%S} {level:7} {_one_line(event)} {said}".rstrip()
        # A traceback is for people, who want it over several lines.
        return f"{line}\n{trace}" if trace else line


def _value(value: Any) -> str:
    """A value as it stands in a line for people; a text that could be mistaken for more is quoted."""
    if isinstance(value, float):
        return f"{value:.3g}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _one_line(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)
