"""What the node's event loop spends on each kind of work, in seconds: the words of `costs:`.

Decides which words there are, and reads them: the shipped file, another that a calibration wrote, or the numbers
themselves. Rule: every cost is time during which the one event loop does nothing else (but for `commit`, `commit_cold`
and `commit_record`, which are the log's), and a word that may be left out changes nothing where it is. How costs are
spent is the simulation's affair.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from math import fsum
from pathlib import Path
from typing import Final

import msgspec

from chatsim.scenario import units
from chatsim.scenario.distributions import Constant, Distribution
from chatsim.scenario.faults import Fault, FaultsError, did_you_mean
from chatsim.scenario.reading import find_file, read_distribution

WORDS: Final = ("frame", "verify", "tls_handshake", "recipient", "write", "append", "ping")
"""What every node spends; a mapping that leaves one out takes the shipped number."""

BY_TYPE: Final = ("frame_ack", "frame_typing", "frame_presence", "frame_heartbeat", "frame_status")
"""An inbound frame of this type, instead of `frame`."""

FINER: Final = (
    *BY_TYPE,
    "verify_es256",
    "handshake",
    "wake",
    "cold",
    "flush",
    "owed",
    "settled",
    "collect",
    "append_durable",
    "commit",
    "commit_record",
    "tls_frame",
    "tls_write",
)
"""What may be told apart beside them, and costs nothing (or what the word that it refines says) where it is not."""

OF_COMMITS: Final = ("commit_cold", "commit_heard")
"""And so may these, beside `commit`."""

COMMIT_BUSY: Final = "commit_busy"
"""Which share of a commit the log's thread is busy, on the loop's own core."""

PACE: Final = ("pace", "pace_hold")
"""How the machine's speed wavers."""

NUMBERS: Final = ("pace", COMMIT_BUSY)
"""Words that are no durations."""

TIMER_STEP: Final = "timer_step"
"""The loop's timers ring at multiples of this."""

SPANS: Final = ("cold_after", "commit_cold_after", TIMER_STEP)
"""Durations that nothing takes: for how long the loop sleeps until it is cold, for how long the log rests until a
commit is, and how far apart timers ring."""

COLLECT: Final = "collect"
"""The cycle collector: a distribution, drawn for each stored message, or `PAUSES`."""

PAUSES: Final = ("every", "pauses")
"""The words of the pauses themselves."""

FIRST: Final = "first"
"""The word of when the first comes, where that is not after `every`."""

GO_WITH: Final[Mapping[str, tuple[str, ...]]] = {
    "pace": ("pace_hold",),
    "pace_hold": ("pace",),
    "cold": ("wake", "cold_after"),
    "cold_after": ("cold",),
    "commit_cold": ("commit", "commit_cold_after"),
    "commit_cold_after": ("commit_cold",),
    COMMIT_BUSY: ("commit",),
}
"""Words that say nothing without these others."""

SHIPPED: Final = Path(__file__).with_name("costs.json")
"""The file behind `costs: default`: one that `chatsim calibrate` wrote, or one in its form."""

FORMAT: Final = "chatsim-calibration"
VERSION: Final = 1
"""Of the files that a calibration writes; files of other versions are refused."""


def _shipped(word: str) -> Distribution:
    cost: Distribution = getattr(default(), word)
    return cost


class Collections(msgspec.Struct, frozen=True, kw_only=True):
    """The cycle collector's pauses as they come in a fresh process: one after `every` stored messages, each as long as
    the next of `pauses_s` (s), over and over. A collector counts what is made, so that nothing in this is drawn. The
    first comes so much sooner as if `since` messages had been stored before: a process that is not fresh has, and what
    a fresh one makes for its connections is as good as some."""

    every: int
    pauses_s: tuple[float, ...]
    since: int = 0

    @property
    def mean(self) -> float:
        """What it takes for each stored message, in the mean (s)."""
        return fsum(self.pauses_s) / len(self.pauses_s) / self.every

    def pause_s(self, number: int) -> float:
        """How long the loop stands at the stored message of this number, the first of the run being 1 (s)."""
        turn, rest = divmod(self.since + number, self.every)
        return 0.0 if rest or not turn else self.pauses_s[(turn - 1) % len(self.pauses_s)]


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of the event loop for each kind of work, as distributions; the defaults are those of the shipped file.

    The seven of every node: `frame` parse and handle one inbound frame, `verify` one token, `tls_handshake`,
    `recipient` owe one frame to one recipient, `write` one flush of one connection in one turn, `append` one message,
    `ping` a ping and its pong. The others, None where they are not told apart: frames by type; `verify_es256` one token
    instead of `verify`, where the handler pins ES256 and not HS256; `handshake` everything of one beside token and TLS,
    the connection's end included; `wake` when the loop was asleep and is woken, and so much of `cold` more as
    1 - exp(-slept / `cold_after`), since caches grow cold; `flush` once in each turn that says something to many,
    which then writes all it has to say at its end; `owed` more for each recipient of a message, and `settled` when she
    has acked it; `collect` the cycle collector, by its pauses or drawn for each stored message; `append_durable`
    instead of `append`, `commit` and `commit_record` (a commit's time, and more of it for each record in it, both of
    the log's own thread), so much of `commit_cold` more as 1 - exp(-rested / `commit_cold_after`), and `commit_heard`
    once for each commit that the loop hears of, where `log.store` is sqlite; `tls_frame` and `tls_write` more for a
    frame and for a flush over TLS.

    `commit_busy` is a share (a number): for so much of `commit` and `commit_cold`, and for all of `commit_record`, the
    log's thread needs the core that the loop runs on, which it gets when the loop sleeps, and keeps until it waits for
    the disk. None: it has a core of its own, as far as the loop is concerned.

    `timer_step` (s) is the resolution of the loop's clock: what is due between two of its multiples is done together at
    the later one, as by a loop that counts milliseconds. None: everything is done when it is due.

    No machine is equally fast at all times: `pace` is how many times as long the loop's work takes (a number), and is
    drawn anew whenever `pace_hold` (s) has passed. None: the speed is always the same.
    """

    frame: Distribution = msgspec.field(default_factory=lambda: _shipped("frame"))
    verify: Distribution = msgspec.field(default_factory=lambda: _shipped("verify"))
    tls_handshake: Distribution = msgspec.field(default_factory=lambda: _shipped("tls_handshake"))
    recipient: Distribution = msgspec.field(default_factory=lambda: _shipped("recipient"))
    write: Distribution = msgspec.field(default_factory=lambda: _shipped("write"))
    append: Distribution = msgspec.field(default_factory=lambda: _shipped("append"))
    ping: Distribution = msgspec.field(default_factory=lambda: _shipped("ping"))
    frame_ack: Distribution | None = None
    frame_typing: Distribution | None = None
    frame_presence: Distribution | None = None
    frame_heartbeat: Distribution | None = None
    frame_status: Distribution | None = None
    verify_es256: Distribution | None = None
    handshake: Distribution | None = None
    wake: Distribution | None = None
    cold: Distribution | None = None
    flush: Distribution | None = None
    owed: Distribution | None = None
    settled: Distribution | None = None
    collect: Distribution | Collections | None = None
    append_durable: Distribution | None = None
    commit: Distribution | None = None
    commit_record: Distribution | None = None
    commit_cold: Distribution | None = None
    commit_heard: Distribution | None = None
    tls_frame: Distribution | None = None
    tls_write: Distribution | None = None
    pace: Distribution | None = None
    pace_hold: Distribution | None = None
    cold_after: Distribution | None = None
    commit_cold_after: Distribution | None = None
    commit_busy: Distribution | None = None
    timer_step: Distribution | None = None

    @property
    def is_free(self) -> bool:
        """Whether no work costs anything."""
        nothing = Constant(value=0.0)
        return all(getattr(self, word) in (nothing, None) for word in (*WORDS, *FINER, *OF_COMMITS))

    def verifying(self, algorithms: Collection[str]) -> Costs:
        """The costs of a node that pins these algorithms: people sign with HS256 wherever they may."""
        if self.verify_es256 is None or "ES256" not in algorithms or "HS256" in algorithms:
            return self
        return msgspec.structs.replace(self, verify=self.verify_es256)

    def over_tls(self) -> Costs:
        """The costs of a node all of whose connections use TLS: frames and flushes take so much longer, in the mean."""
        made: dict[str, Distribution] = {}
        if self.tls_frame is not None:
            words = ("frame", *(word for word in BY_TYPE if getattr(self, word) is not None))
            made |= {word: _longer(getattr(self, word), self.tls_frame.mean) for word in words}
        if self.tls_write is not None:
            made["write"] = _longer(self.write, self.tls_write.mean)
        return msgspec.structs.replace(self, **made)


def _longer(cost: Distribution, by_s: float) -> Distribution:
    if isinstance(cost, Constant):
        return Constant(value=cost.mean + by_s)
    return msgspec.structs.replace(cost, shift=cost.shift + by_s)


def free() -> Costs:
    """A node whose work takes no time."""
    return Costs(**dict.fromkeys(WORDS, Constant(value=0.0)))


@cache
def default() -> Costs:
    """The costs that are shipped."""
    return _from_path(SHIPPED)


def read_costs(value: object, folder: Path | None = None) -> Costs:
    """Costs out of `default`, 0, a path, or a mapping of costs.

    Of the seven words that every node needs, a mapping or file that leaves one out takes the shipped number; of the
    finer ones it means that they are not told apart. Raises FaultsError with paths inside `value`.
    """
    if value == "default":
        return default()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value == 0:
            return free()
        raise FaultsError([((), f"{value} is no cost: write 0 for a free node, default, a file, or each cost by name")])
    if isinstance(value, str):
        return _from_file(value, folder)
    if not isinstance(value, Mapping):
        raise FaultsError([((), "should be default, 0, a file written by a calibration, or a mapping of costs")])
    return _from_mapping(value, folder)


def _from_mapping(value: Mapping[str, object], folder: Path | None) -> Costs:
    """Costs by name."""
    found: list[Fault] = []
    read: dict[str, Distribution] = {}
    collections: Collections | None = None
    known = (*WORDS, *FINER, *OF_COMMITS, *PACE, *SPANS, COMMIT_BUSY)
    for word, given in value.items():
        if word not in known:
            found.append(((word,), f"unknown cost {word!r}{did_you_mean(word, known)}"))
            continue
        try:
            if word == COLLECT and isinstance(given, Mapping) and not given.keys().isdisjoint(PAUSES):
                collections = _collections(given)
                continue
            unit = units.number if word in NUMBERS else units.duration
            read[word] = read_distribution(given, unit, folder)
        except FaultsError as faults:
            found.extend(((word, *path), text) for path, text in faults.found)
    for word, others in GO_WITH.items():
        missing = [other for other in others if other not in value]
        if word in value and missing:
            found.append(((word,), f"{word} goes with {missing[0]}: say both, or neither"))
        elif word in (*PACE, *SPANS) and word in read and read[word].mean <= 0.0:
            found.append(((word,), f"{word} is 0 at all times: it is above 0 in the mean"))
    busy = read.get(COMMIT_BUSY)
    if busy is not None and not (busy.is_constant and 0.0 <= busy.mean <= 1.0):
        found.append(((COMMIT_BUSY,), f"{COMMIT_BUSY} is one share, from 0 to 1: write a number like 0.4"))
    for word in SPANS:
        if word in read and not read[word].is_constant:
            found.append(((word,), f"{word} is one duration, like 400us: nothing is drawn here"))
    if found:
        raise FaultsError(found)
    costs = Costs(**read)
    return costs if collections is None else msgspec.structs.replace(costs, collect=collections)


def _collections(value: Mapping[str, object]) -> Collections:
    """`{first: 7000, every: 10000, pauses: [3ms, 4ms, 20ms]}`."""
    known = (*PAUSES, FIRST)
    found: list[Fault] = [((word,), f"unknown word{did_you_mean(word, known)}") for word in value if word not in known]
    found += [((), f"{word} is missing: say both {' and '.join(PAUSES)}") for word in PAUSES if word not in value]
    every, given = value.get("every", 1), value.get("pauses", [0])
    first = value.get(FIRST, every)
    for word in ("every", FIRST):
        number = value.get(word, 1)
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            found.append(((word,), f"{number} is no number of stored messages: write a whole number from 1"))
    pauses: list[float] = []
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        found.append((("pauses",), "should be a list of durations, like [3ms, 4ms, 20ms]"))
    else:
        for place, one in enumerate(given):
            try:
                pauses.append(units.duration(one))
            except ValueError as error:
                found.append((("pauses", place), f"{error}"))
    if found:
        raise FaultsError(found)
    assert isinstance(every, int)
    assert isinstance(first, int)
    return Collections(every=every, pauses_s=tuple(pauses), since=every - first)


def _from_file(name: str, folder: Path | None) -> Costs:
    """Costs out of a YAML or JSON file: the same words, at the top or under `costs`."""
    try:
        path = find_file(name, folder)
    except FaultsError:
        hint = did_you_mean(name, ("default",)) if len(name) < 12 else ""
        raise FaultsError([((), f"{name} is neither `default` nor a file beside the scenario{hint}")]) from None
    return _from_path(path)


def _from_path(path: Path) -> Costs:
    # Imported here because `load` imports this module, and files of costs are rare.
    from chatsim.scenario.yaml import YamlError, read_yaml

    try:
        document = read_yaml(path)
    except YamlError as error:
        raise FaultsError([((), str(error))]) from None
    if document.problems:
        raise FaultsError([((), str(YamlError(str(path), list(document.problems))))])
    value = document.value
    if isinstance(value, dict) and "format" in value:
        _check_format(path, value)
    if isinstance(value, dict) and "costs" in value:
        value = value["costs"]
    if not isinstance(value, dict):
        raise FaultsError([((), f"{path} should be a mapping of costs: {', '.join(WORDS)}")])
    try:
        return _from_mapping(value, path.parent)
    except FaultsError as faults:
        raise FaultsError([((), f"{path}: {text}") for text in str(faults).splitlines()]) from None


def _check_format(path: Path, value: Mapping[str, object]) -> None:
    """Refuse what says of itself that it is something else."""
    if value["format"] != FORMAT:
        raise FaultsError([((), f"{path} is a file of format {value['format']}: give one that `calibrate` wrote")])
    if value.get("version") != VERSION:
        text = f"{path} has version {value.get('version')} of its format, and {VERSION} is read: calibrate again"
        raise FaultsError([((), text)])
    if "costs" not in value:
        raise FaultsError([((), f"{path} holds no `costs`: it was cut off, so calibrate again")])
