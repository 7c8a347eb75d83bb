"""The shape of a finished run, for those who show it and do not play it.

Rule: who needs less asks for less, so that a test can hand in a result of its own; what is shown is what was judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from chatsim.journal.record import RunRecord


class Judged(Protocol):
    """One expectation with its verdict. `observed` and `limit` are in `unit` (`s`, `share`, or nothing for a count),
    over `n` samples."""

    @property
    def text(self) -> str: ...
    @property
    def observed(self) -> float: ...
    @property
    def limit(self) -> float: ...
    @property
    def verdict(self) -> str: ...
    @property
    def n(self) -> int: ...
    @property
    def unit(self) -> str: ...
    @property
    def why(self) -> str: ...


class Ruling(Protocol):
    """One expectation that was judged over replications; `why` says why more of them would not decide it."""

    @property
    def verdict(self) -> Literal["pass", "fail", "inconclusive"]: ...
    @property
    def mean(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> int: ...
    @property
    def would_do(self) -> float: ...
    @property
    def why(self) -> str: ...


class Shown(Protocol):
    """What anybody wants to see of a finished run."""

    @property
    def scenario(self) -> str: ...
    @property
    def wire(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def verdict(self) -> str: ...
    @property
    def expectations(self) -> Sequence[Judged]: ...
    @property
    def valid(self) -> bool: ...
    @property
    def why_invalid(self) -> str: ...
    @property
    def path(self) -> Path | None: ...


class Result(Shown, Protocol):
    """One that has just been played: whether the machine was too busy for it, and all that is written down."""

    @property
    def busy(self) -> bool: ...
    def to_dict(self) -> Mapping[str, Any]: ...


class Finished(Shown, Protocol):
    """One with everything that tables are made of, whether it has just been played or was kept."""

    @property
    def metrics(self) -> Mapping[str, Mapping[str, float]]: ...
    @property
    def counters(self) -> Mapping[str, int]: ...
    @property
    def trace_hash(self) -> str: ...
    @property
    def record(self) -> RunRecord: ...
