"""The words of `handler:`, and of the file that `chatsim serve --config` takes.

Decides how each setting of the handler is spelled: durations with units, limits as rates (`60/min`), sizes (`64KiB`),
`on` and `off`. Rule: the defaults and the contradictions are those of HandlerConfig, never written twice. Lines and
columns are `load`'s affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

from chatsim.core.config import ALGORITHMS, HandlerConfig, RateAlgorithm, Reliability
from chatsim.scenario import units
from chatsim.scenario.faults import Fault, FaultsError, did_you_mean, near

Reader = Callable[[object], object]

WINDOWED: Final[Mapping[str, str]] = {
    "rate_limit": "rate_window_s",
    "frame_limit": "frame_window_s",
    "violation_limit": "violation_window_s",
}
"""Limits written as a count per window, and the field that holds the window."""

MAY_BE_ZERO: Final = frozenset(
    {"retries", "presence_grace_s", "token_warning_s", "token_grace_s", "retention_messages", "retention_bytes"}
    | {"retention_s", "dedupe_for_s", "history_for_s", "drain_window_s", "history_messages", "history_messages_max"}
)
"""Fields for which nothing at all makes sense."""


def words() -> dict[str, str]:
    """Every word of `handler:` and the field of HandlerConfig that it sets."""
    windows = set(WINDOWED.values())
    found = {}
    for field in HandlerConfig.__struct_fields__:
        if field not in windows:
            found[field.removesuffix("_per_s").removesuffix("_s")] = field
    return found


def kind(field: str) -> str:
    """How a field is written: duration, rate, limit, size, count, switch, text, list, or its own name for a choice."""
    if field in WINDOWED:
        return "limit"
    if field.endswith("_per_s"):
        return "rate"
    if field.endswith("_s"):
        return "duration"
    if field in ("reliability", "rate_algorithm"):
        return field
    if "bytes" in field:
        return "size"
    return {
        "compression": "switch",
        "algorithms": "algorithms",
        "origins": "list",
        "audience": "text",
        "issuer": "text",
    }.get(field, "count")


def handler_config(mapping: Mapping[str, object]) -> HandlerConfig:
    """The handler's configuration out of its words; what is left out keeps its default.

    Raises FaultsError with every wrong word, and with what the settings contradict, at once.
    """
    config, found = read_handler(mapping)
    if found:
        raise FaultsError(found)
    return config


def read_handler(mapping: object) -> tuple[HandlerConfig, list[Fault]]:
    """The configuration made of the words that can be read, and the faults of the others."""
    if mapping is None:
        return HandlerConfig(), []
    if not isinstance(mapping, Mapping):
        return HandlerConfig(), [((), "should be a mapping of settings, like {ping_interval: 30s}")]
    known = words()
    values: dict[str, Any] = {}
    unread: set[str] = set()
    found: list[Fault] = []
    for word, value in mapping.items():
        field = known.get(word)
        if field is None:
            found.append(((word,), f"unknown setting {word!r}{did_you_mean(word, known)}"))
            # The others are judged as if it were written as it was probably meant: so it neither hides a contradiction
            # nor makes one.
            field = next((known[guess] for guess in near(word, known) if guess not in mapping), None)
        if field is None:
            continue
        try:
            values.update(_read(field, value))
        except ValueError as error:
            unread.add(field)
            if word in known:
                found.append(((word,), str(error)))
    config = HandlerConfig(**values)
    by_field = {field: word for word, field in known.items()}
    found.extend(((by_field[field],), text) for field, text in config.problems(unknown=unread))
    return config, found


def _read(field: str, value: object) -> dict[str, object]:
    """The fields that one word sets."""
    if field in WINDOWED:
        count, window_s = units.count_per_window(value)
        if count != int(count) or count < 1:
            raise ValueError(f"{value!s} is not a whole number of at least 1 per window: write 60/min, 5/s or 90/h")
        return {field: int(count), WINDOWED[field]: window_s}
    read = _READERS[kind(field)](value)
    if read == 0 and not isinstance(read, bool) and field not in MAY_BE_ZERO:
        raise ValueError(f"must be more than 0, not {value!s}")
    return {field: read}


def _choice(names: tuple[str, ...]) -> Reader:
    def read(value: object) -> object:
        if value not in names:
            raise ValueError(f"{value!s} is none of {', '.join(names)}{did_you_mean(value, names)}")
        return value

    return read


def _switch(value: object) -> bool:
    if value in ("on", "off"):
        return value == "on"
    if not isinstance(value, bool):
        raise ValueError(f"{value!s} is neither on nor off")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!s} is not a whole number of 0 or more")
    return value


def _text(value: object) -> str | None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{value!s} is not text: put it in quotes")
    return value


def _texts(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(item, str) and item for item in listed):
        raise ValueError("should be a list of texts, like [a, b]")
    return tuple(listed)


def _algorithms(value: object) -> tuple[str, ...]:
    names = _texts(value)
    unknown = [name for name in names if name not in ALGORITHMS]
    if unknown:
        hint = did_you_mean(unknown[0], ALGORITHMS)
        raise ValueError(f"{', '.join(unknown)}: no signature algorithm that can be pinned{hint}")
    if not names:
        raise ValueError("no algorithm is allowed, so every token would be refused: write [HS256]")
    if len({name[:2] == "HS" for name in names}) > 1:
        raise ValueError(
            "mixes shared-secret (HS) with public-key algorithms: a public key must never serve as a secret"
        )
    return names


_READERS: Final[Mapping[str, Reader]] = {
    "duration": units.duration,
    "rate": units.rate,
    "size": units.whole_bytes,
    "count": _count,
    "switch": _switch,
    "text": _text,
    "list": _texts,
    "algorithms": _algorithms,
    "reliability": _choice(get_args(Reliability)),
    "rate_algorithm": _choice(get_args(RateAlgorithm)),
}
