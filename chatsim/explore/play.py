"""One seed, played and judged: which invariants did not hold, and what was reached.

Decides what is a failure of a run: a violation, whatever raises, and a second run that goes otherwise. Rule: what is
found out about a seed depends on the seed alone, whoever plays it and beside whatever else.
What is done with many seeds is left to `campaign`, what is left of a failing one to `shrink`.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from itertools import zip_longest
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

import msgspec

from chatsim.errors import UsageError
from chatsim.explore.agreement import WITHIN_S, Compared, alike, compared
from chatsim.explore.draw import words
from chatsim.explore.lots import Words
from chatsim.journal.around import around
from chatsim.journal.record import RunRecord
from chatsim.people.script import EPOCH
from chatsim.scenario.model import Scenario
from chatsim.sim.node import Observer
from chatsim.sim.run import simulate
from chatsim.verdict.invariants.catalogue import Violation
from chatsim.verdict.raised import raised
from chatsim.verdict.sometimes import Reached
from chatsim.verdict.trace import Trace, parted
from chatsim.virtual.run import run_virtual

Wire: TypeAlias = Literal["sim", "virtual", "agreement"]
"""`agreement` is both, on what they can agree on, and their traces compared."""

VIRTUAL_EVERY: Final = 20
"""With `both`, every seed is played on `sim`, and one in so many on `virtual` as well."""

AGREEMENT_EVERY: Final = 2
"""With `both`, one in so many has both wires compared.

To compare a seed takes 1.7 times as long as to simulate it (0.20 s and 0.12 s of a processor). Measured, 20,000 seeds
take 27 minutes on two processors with every other one compared, 2,700 simulated seconds a second, and 2,000 of them 3
minutes. On a machine that has other things to do it may be three times as much, and 10 minutes are all they have.
"""

AGREEMENT_AT: Final = 1
"""Which of so many: never one that is played on `virtual` for itself, since those cost the most already."""

TWICE_EVERY: Final = 20
"""One seed in so many is played twice and compared."""


class Played(msgspec.Struct):
    """What came of one seed on one wire. `lasted_s` is the run's own time (s), `fired` counts faults that touched
    somebody, by kind; `twice` says that it was played again and compared. `left_out` is why two wires were compared no
    further than up to `compared_s` ("": nothing was left out), and `reached_on` what each of the two has reached, where
    `reached` is what they have together; `took_s` is how long it took on the wall clock."""

    seed: int
    wire: Wire
    trace_hash: str
    lasted_s: float
    messages: int
    fired: dict[str, int]
    reached: list[str]
    violations: list[Violation]
    twice: bool = False
    compared_s: float = 0.0
    left_out: str = ""
    reached_on: dict[str, list[str]] = {}
    took_s: float = 0.0


def wires_of(seed: int, on: str) -> tuple[Wire, ...]:
    """On which wires a seed is played; `on` is a wire, or `both`."""
    if on != "both":
        return (cast(Wire, on),)
    if seed % VIRTUAL_EVERY == 0:
        return "sim", "virtual"
    return ("sim", "agreement") if seed % AGREEMENT_EVERY == AGREEMENT_AT else ("sim",)


def words_of(seed: int, wire: Wire) -> Words:
    """What a seed draws for a wire, as a scenario file would say it."""
    return fitted(words(seed), wire)


def fitted(drawn: Words, wire: Wire) -> Words:
    """The part of a scenario that can be played on a wire: all of it, but where two are to agree."""
    return alike(drawn) if wire == "agreement" else drawn


def play_seed(seed: int, wire: Wire) -> Played:
    """Draw the scenario of a seed, play it and, if it is its turn, play it again."""
    # One in twenty of each wire's own seeds, and never both wires of one seed: those cost the most already.
    place = seed if wire == "sim" else seed // VIRTUAL_EVERY
    return play(Scenario.of(words_of(seed, wire)), wire, twice=wire != "agreement" and place % TWICE_EVERY == 1)


def play(scenario: Scenario, wire: Wire, *, twice: bool = False) -> Played:
    """Play a scenario and watch it; `twice` plays it again, and compares. Raises UsageError for what the wire cannot
    play."""
    if not twice:
        return play_once(scenario, wire, None)
    with tempfile.TemporaryDirectory(prefix="chatsim-explore-") as folder:
        first, second = Path(folder) / "first.jsonl", Path(folder) / "second.jsonl"
        played, again = play_once(scenario, wire, first), play_once(scenario, wire, second)
        played.twice = True
        if played.trace_hash != again.trace_hash:
            at, detail = _divergence(first, second)
            played.violations.append(Violation("same_again", at, detail))
    return played


def play_once(scenario: Scenario, wire: Wire, journal: Path | None) -> Played:
    """Play a scenario and watch it; `journal` is a new file for every step (None: none is kept)."""
    if wire == "agreement":
        return _play_both(scenario, journal)
    return _play(scenario, wire, journal, ())


def _play_both(scenario: Scenario, journal: Path | None) -> Played:
    """Play a scenario in the simulation and on the asyncio server, and name the first difference of the two runs."""
    traces = Trace(), Trace()
    (one, _), (other, extent) = (
        _watched(scenario, wire, journal if wire == "sim" else None, (trace,))
        for wire, trace in zip(("sim", "virtual"), traces, strict=True)
    )
    found = [*one.violations, *other.violations]
    if not any(violation.name == "calm" for violation in found):
        difference = parted(*(trace.until(extent.until_s) for trace in traces), within_s=WITHIN_S)
        found += [] if difference is None else [Violation("one_run", *difference)]
    return msgspec.structs.replace(
        one,
        wire="agreement",
        lasted_s=one.lasted_s + other.lasted_s,
        messages=one.messages + other.messages,
        reached=sorted({*one.reached, *other.reached}),
        violations=found,
        compared_s=extent.until_s,
        left_out=extent.left_out,
        reached_on={one.wire: one.reached, other.wire: other.reached},
    )


def _play(scenario: Scenario, wire: str, journal: Path | None, observers: tuple[Observer, ...]) -> Played:
    return _watched(scenario, wire, journal, observers)[0]


def _watched(
    scenario: Scenario, wire: str, journal: Path | None, observers: tuple[Observer, ...]
) -> tuple[Played, Compared]:
    """What came of a run, and as much of it as is to be the same on both wires."""
    extent = Compared(scenario.duration_s)
    reached = Reached(scenario.handler, EPOCH)
    try:
        if wire == "sim":
            simulated = simulate(scenario, journal=journal, observers=(reached, *observers))
            record, trace_hash, violations = simulated.record, simulated.trace_hash, simulated.violations
            lasted_s = simulated.lasted_s
        else:
            outcome = run_virtual(scenario, journal=journal, observers=(reached, *observers))
            record, trace_hash, violations = outcome.record, outcome.trace_hash, outcome.violations
            lasted_s, extent = outcome.lasted_s, compared(scenario, outcome)
    except UsageError:
        # The wire cannot play it, and says why.
        raise
    except Exception as problem:
        failed = Played(scenario.seed, cast(Wire, wire), "", 0.0, 0, {}, sorted(reached.names), [raised(problem)])
        return failed, extent
    reached.finish(record)
    played = Played(
        scenario.seed,
        cast(Wire, wire),
        trace_hash,
        lasted_s,
        len(record.sent),
        _fired(record),
        sorted(reached.names),
        violations,
    )
    return played, extent


def _fired(record: RunRecord) -> dict[str, int]:
    return dict(Counter(fired.do for fired in record.fired if not fired.vain))


def _divergence(first: Path, second: Path) -> tuple[float, str]:
    """When (s) and how the second journal went otherwise."""
    with first.open("rb") as one, second.open("rb") as other:
        for number, (line, again) in enumerate(zip_longest(one, other, fillvalue=b"")):
            if line != again:
                step = (line or again).decode()
                at = float(step[1:].partition(",")[0]) if step.startswith("[") else 0.0
                was, then = line.decode().rstrip("\n"), again.decode().rstrip("\n")
                return at, f"step {number} was {around(was, then) or 'none'} and then {around(then, was) or 'none'}"
    return 0.0, "the journals are equal, and their hashes are not"
