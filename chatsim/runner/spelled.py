"""Costs as a calibration spells them, made longer or shorter.

Decides what a machine or a disk of another speed makes of the words. Rule: what is no time stays as it is. How much
slower something was is left to who has seen it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

import numpy as np

from chatsim.analysis.fits import LEVELS

_TIMED: Final = re.compile(r"^([0-9.e+-]+)us$")

TOLD_FROM, TOLD_UNTIL = 0.05, 0.99
"""The quantiles that a few hundred commits tell; below and above them everything is taken to be as many times longer as
there."""


def times(words: Any, factor: float) -> Any:
    """Costs as a calibration spells them, all of them so many times what they were."""
    if isinstance(words, str) and (match := _TIMED.fullmatch(words)):
        return f"{float(match[1]) * factor:.6g}us"
    if isinstance(words, Mapping):
        return {key: times(value, factor) for key, value in words.items()}
    return [times(value, factor) for value in words] if isinstance(words, list) else words


def _us(words: str) -> float:
    """How long that is (us)."""
    match = _TIMED.fullmatch(words)
    assert match is not None
    return float(match[1])


def on_disk(costs: Mapping[str, Any], were_s: Sequence[float], are_s: Sequence[float]) -> dict[str, Any]:
    """What of the costs is otherwise on a disk whose commits take `are_s` and not `were_s`, as when the costs were
    measured: nothing, where one of the two is not known.

    Each stretch of `commit` that is told by quantiles is moved as the quantiles of the disk's are, since a tail comes
    and goes by itself; another shape is moved as a whole, by the mean, and `commit_cold` by the median.
    """
    if not were_s or not are_s or "commit" not in costs:
        return {}
    levels = np.clip(LEVELS, TOLD_FROM, TOLD_UNTIL)
    slower = (np.quantile(are_s, levels) / np.quantile(were_s, levels)).tolist()
    moved: dict[str, Any] = {}
    told = costs["commit"].get("mixture") if isinstance(costs["commit"], Mapping) else None
    if told is not None and len(told) == len(LEVELS) - 1:
        edges = [*(one["uniform"]["low"] for one in told), told[-1]["uniform"]["high"]]
        moved_to = [times(edge, factor) for edge, factor in zip(edges, slower, strict=True)]
        # Where a tail has gone, what it was moved to may lie below what is not of it.
        ends = pairwise(accumulate(moved_to, lambda before, edge: max(before, edge, key=_us)))
        moved["commit"] = {
            "mixture": [
                one | {"uniform": {"low": low, "high": high}} for one, (low, high) in zip(told, ends, strict=True)
            ]
        }
    else:
        moved["commit"] = times(costs["commit"], float(np.mean(are_s) / np.mean(were_s)))
    if "commit_cold" in costs:
        moved["commit_cold"] = times(costs["commit_cold"], float(np.median(are_s) / np.median(were_s)))
    return moved
