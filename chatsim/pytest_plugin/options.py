"""The options of the pytest plugin, read.

Rule: what they cannot be is refused when the session begins, in one sentence, and never when the first scenario is
played.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import pytest

from chatsim.scenario.units import SEED_MAX, shortened, whole

MARKER: Final = "chatsim"
"""Marks every expectation of a scenario; its tags are markers beside it."""

WIRES: Final = ("sim", "virtual", "live")

REPLICATIONS_MIN: Final = 2
"""Fewer have no interval."""

REPLICATIONS_MAX: Final = 10**9
"""More are not waited for by anybody."""


@dataclass(frozen=True)
class Options:
    """On which wires, from which seed (None: the scenario's own), and how often (None: once)."""

    wires: tuple[str, ...] = ("sim",)
    seed: int | None = None
    replications: int | Literal["auto"] | None = None

    KEY: ClassVar[pytest.StashKey[Options]]

    @classmethod
    def of(cls, config: pytest.Config) -> Options:
        """Those of a session. Raises pytest.UsageError."""
        wires = _wires(config.getoption("--chatsim-on"))
        replications = _replications(config.getoption("--chatsim-replications"))
        if replications is not None and "live" in wires:
            raise pytest.UsageError(
                "--chatsim-replications is for sim and virtual: leave live out, which takes the wall's time"
            )
        return cls(wires, _seed(config.getoption("--chatsim-seed")), replications)


Options.KEY = pytest.StashKey[Options]()


def _wires(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ("sim",)
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in WIRES:
            raise pytest.UsageError(f"--chatsim-on {text}: there is no wire {name!r}; say some of {','.join(WIRES)}")
    return names


def _seed(text: str | None) -> int | None:
    if text is None:
        return None
    found = whole(text, 0, SEED_MAX)
    if found is None:
        raise pytest.UsageError(f"--chatsim-seed {shortened(text)}: give a whole number of 0 or more, below 2^63")
    return found


def _replications(text: str | None) -> int | Literal["auto"] | None:
    if text is None:
        return None
    if text == "auto":
        return "auto"
    found = whole(text, REPLICATIONS_MIN, REPLICATIONS_MAX)
    if found is None:
        raise pytest.UsageError(
            f"--chatsim-replications {shortened(text)}: give a whole number of at least {REPLICATIONS_MIN}, or auto; "
            f"{REPLICATIONS_MAX} are the most"
        )
    return found
