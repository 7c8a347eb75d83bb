"""What a campaign has shown, as a page of Markdown.

Decides the page. Rule: every figure is counted and none is judged here; what was never reached is named, since it says
where nobody has looked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chatsim.explore.agreement import LEFT_OUT
from chatsim.explore.campaign import Totals
from chatsim.explore.draw import UNDRAWN
from chatsim.explore.play import AGREEMENT_EVERY, TWICE_EVERY
from chatsim.explore.reach import OUT_OF_REACH, RUNS_EXPECTED, WIRES, runs_for
from chatsim.verdict.invariants.catalogue import INVARIANTS
from chatsim.verdict.sometimes import SOMETIMES

_HEAD: Final = """# Exploring

Each seed draws a whole scenario: people, network, settings of the handler, and faults with their times and victims.
It is played: what goes in and comes out is checked at every step, what is overdue and what is inside the handler a few
times a run and at its end. `make explore` makes this page anew.
"""

_CHECKED: Final = f"""\
Checked in every run, on every wire. `same_again` takes a second run: one seed in {TWICE_EVERY} has one, a run on real
sockets none. `one_run` takes one on either wire of virtual time, without the few things that the two model differently
(`chatsim/explore/agreement.py`): one seed in {AGREEMENT_EVERY} has that. `written` and `heard` look at transports in
memory, which are those of virtual. On real sockets the server is a process of its own: what is inside its handler is
looked at in the one that its journal is replayed into, how many connections are open is asked of the server, and
whatever has a bound in time has 5 s more."""

_SOMETIMES: Final = f"""\
How many runs came through what a bug likes to hide in, by wire; a comparison is a run on either. What {RUNS_EXPECTED:,}
runs on a wire that could reach it have not reached is a failure of that wire."""


def page(totals: Totals, mutants: tuple[int, int] | None = None, machine: str = "") -> str:
    """The report; `mutants` is how many were killed of how many planted (None: none were), `machine` one line."""
    runs = ", ".join(f"{count:,} {_on(wire)}" for wire, count in totals.by_wire.items())
    rows = [
        ("seeds run", f"{totals.seeds:,}"),
        ("runs", runs),
        ("seeds played twice and compared", f"{totals.twice:,}"),
        ("seeds compared on both wires to the end", _compared(totals)),
        ("simulated hours", f"{totals.simulated_s / 3600:,.1f}"),
        ("messages", f"{totals.messages:,}"),
        ("faults fired", f"{sum(totals.fired.values()):,}"),
        ("invariants", f"{len(INVARIANTS)}"),
        ("seeds that broke one", f"{len({run.seed for run in totals.failures})}"),
        ("`sometimes` reached", _reached(totals)),
        ("mutants killed", "not tried" if mutants is None else f"{mutants[0]} of {mutants[1]}"),
        ("simulated seconds a second of the wall clock", f"{totals.rate:,.0f}"),
        ("the same in one process, by wire", _rates(totals)),
    ]
    parts = [_HEAD]
    if machine:
        parts.append(f"{machine}\n")
    parts.append(_table(("what", "figure"), rows))
    parts.append("## Faults that touched somebody\n")
    parts.append(_table(("fault", "times"), sorted((do, f"{count:,}") for do, count in totals.fired.items())))
    parts.append(f"## Sometimes\n\n{_SOMETIMES}\n")
    parts.append(
        _table(
            ("property", *(f"on {wire}" for wire in WIRES), "sentence"),
            [(name, *(_times(totals, wire, name) for wire in WIRES), text) for name, text in SOMETIMES.items()],
        )
    )
    beyond = [(name, _on(way), why) for way, names in OUT_OF_REACH.items() for name, why in names.items()]
    parts.append(_table(("out of reach", "runs", "why"), beyond))
    parts.append("## What no seed draws\n")
    parts.append(_table(("what", "why"), list(UNDRAWN["run"].items())))
    if cut := [name for name in LEFT_OUT if totals.left_out.get(name)]:
        parts.append("## Where wires were compared no further\n")
        reasons = [(name, f"{totals.left_out[name]:,}", LEFT_OUT[name]) for name in cut]
        parts.append(_table(("from then on", "runs", "why"), reasons))
    parts.append(f"## Invariants\n\n{_CHECKED}\n")
    parts.append(_table(("invariant", "sentence"), list(INVARIANTS.items())))
    return "\n".join(parts)


def _on(wire: str) -> str:
    return "on both, compared" if wire == "agreement" else f"on {wire}"


def _reached(totals: Totals) -> str:
    """How many properties each wire that was played has reached, of those that it can."""
    told = []
    for wire in WIRES:
        within = [name for name in SOMETIMES if runs_for(totals, wire, name)]
        if within:
            reached = totals.reached_on.get(wire, {})
            told.append(f"{sum(bool(reached.get(name)) for name in within)} of {len(within)} on {wire}")
    return ", ".join(told)


def _times(totals: Totals, wire: str, name: str) -> str:
    """In how many runs on a wire a property was reached, of so many that could."""
    runs = runs_for(totals, wire, name)
    return f"{totals.reached_on.get(wire, {}).get(name, 0):,} of {runs:,}" if runs else "-"


def _rates(totals: Totals) -> str:
    """How fast each wire was played."""
    return ", ".join(f"{rate:,.0f} {_on(wire)}" for wire, rate in totals.rates().items()) or "not measured"


def _compared(totals: Totals) -> str:
    """How many of the runs on both wires were compared to their end."""
    runs = sum(totals.left_out.values())
    return f"{totals.left_out.get('', 0):,} of {runs:,}" if runs else "not tried"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
