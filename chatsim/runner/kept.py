"""Replications on disk, one small file each, so that what was interrupted goes on where it ended.

Decides when a file may stand for a run. Rule: its name is a digest of everything that the run depends on (the scenario
as it was understood, its seed, the wire, the code and the NumPy that drew the luck), so that another scenario or
another code never finds it. A file is written beside its place and renamed when it is whole; what is damaged is as good
as not there, and is named.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from math import inf, nan
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from chatsim.analysis.numbers import Replication
from chatsim.errors import HarnessError, UsageError
from chatsim.scenario.model import Scenario
from chatsim.scenario.versions import unplayed
from chatsim.store.document import encode, plain


@lru_cache(maxsize=1)
def code_digest() -> str:
    """What tells this code from any other: a digest of the package's sources and of NumPy's version."""
    package = Path(__file__).parents[1]
    digest = blake2b(np.__version__.encode(), digest_size=16)
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def key_of(scenario: Scenario, wire: str) -> str:
    """The name of a run of this scenario with its seed. The same for the same scenario said otherwise (`60s`, `1min`),
    whatever file it stands in; the contents of files that it names count."""
    blank: dict[str, Any] = {"description": "", "tags": (), "requirements": (), "live": {}}
    assert blank.keys() == set(unplayed(live=False))
    expect = tuple(msgspec.structs.replace(expectation, line=0) for expectation in scenario.expect)
    played = scenario.model_copy(update=blank | {"expect": expect})
    return blake2b("\n".join((code_digest(), wire, repr(played))).encode(), digest_size=16).hexdigest()


class Kept:
    """A folder of replications. `damaged` are the files that could not be read."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises UsageError where there can be none."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UsageError(f"cannot keep runs in {folder} ({problem.strerror}): name another folder") from problem
        self.folder = folder
        self.damaged: list[Path] = []

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def find(self, key: str, number: int) -> Replication | None:
        """The replication of that key, as it was; None where it is not there, or is damaged."""
        path = self._path(key)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise UsageError(f"cannot read {path} ({problem.strerror}): name another folder") from problem
        try:
            document = json.loads(text)
            inside = document["run"]
            if document["digest"] != _digest(inside):
                raise ValueError("the digest is another")
            return Replication(
                number,
                int(inside["seed"]),
                {name: _float(value) for name, value in inside["numbers"].items()},
                [_float(value) for value in inside["observed"]],
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.damaged.append(path)
            return None

    def keep(self, key: str, found: Replication, about: Mapping[str, Any]) -> None:
        """Write it down, with what it is `about` for who looks into the folder. Raises HarnessError."""
        inside = plain({"seed": found.seed, "numbers": found.numbers, "observed": found.observed})
        document = {"about": dict(about), "digest": _digest(inside), "run": inside}
        path = self._path(key)
        # Of this process alone, so that two sweeps into one folder do not write into each other's.
        beside = path.with_suffix(f".{os.getpid()}")
        try:
            beside.write_text(encode(document) + "\n", encoding="utf-8")
            beside.replace(path)
        except OSError as problem:
            raise HarnessError(f"writing {path} failed: {problem.strerror}") from problem


def _digest(inside: Any) -> str:
    text = json.dumps(inside, ensure_ascii=False, allow_nan=False)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _float(value: Any) -> float:
    """A number as `document` writes it."""
    if value is None:
        return nan
    if isinstance(value, str):
        return {"inf": inf, "-inf": -inf}[value]
    return float(value)
