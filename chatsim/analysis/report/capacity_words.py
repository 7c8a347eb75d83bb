"""What a capacity report says in words and tables.

Decides which sentences there are. Rule: each names the number that it rests on, and what is not known is said to be
not known; nothing is left out because it would look bad.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite, isnan
from pathlib import Path
from typing import Final

import pandas as pd

from chatsim.analysis.capacity import BUSY_MAX, FIRST, LEVEL, N_MAX, uses
from chatsim.analysis.capacity_found import Finding, limit_said
from chatsim.analysis.planning import Plan
from chatsim.analysis.report.tables import Table, table
from chatsim.analysis.validation import SHARE_MIN
from chatsim.scenario import units

NOT_VALIDATED: Final = (
    "Not validated: there is no results/validation.csv beside this report, so that nothing here has been held against "
    "the real backend yet (`chatsim validate` does it)."
)

Row = tuple[str, ...]


def quantity(value: float, unit: str) -> str:
    """A quantity with the three digits that a simulation knows of it."""
    return units.quantity(float(f"{value:.3g}"), unit)


def rows_of_loads(found: Finding) -> list[Row]:
    """Each load as people read it."""
    return [
        (
            f"{row['users']:,}",
            f"{row['runs']}",
            *(quantity(row[name], "s") for name in ("p50_s", "p95_s", "p99_s")),
            f"{100 * row['busy']:.1f} %",
            quantity(row["wait_s"], "s"),
            "saturated" if not isfinite(row["theory_wait_s"]) else quantity(row["theory_wait_s"], "s"),
            row["verdict"],
        )
        for row in found.curve.to_dict("records")
    ]


def rows_of_swings(found: Finding) -> list[Row]:
    """Each side of each factor as people read it."""
    return [
        (
            row["factor"],
            row["says"],
            f"{row['users']:,}" if row["users"] else "-",
            _change(row["change"], row["why"]),
        )
        for row in found.tornado.to_dict("records")
    ]


def _change(change: float, why: str) -> str:
    if isnan(change):
        return why or "no load is carried"
    return "none" if change == 0 else f"{100 * change:+.0f} %"


def tables(found: Finding) -> list[Table]:
    """The tables of the report, each with its CSV."""
    curve, swings = found.curve, found.tornado
    made = [
        table(
            "Every load that was played",
            "knee.csv",
            ("users", "runs", "p50", "p95", "p99", "busy", "wait", "M/G/1", "verdict"),
            rows_of_loads(found),
            list(curve.columns),
            _plain(curve),
            right=range(8),
        )
    ]
    if found.swings:
        made.append(
            table(
                "What each factor does",
                "tornado.csv",
                ("factor", "turned to", "users", "change"),
                rows_of_swings(found),
                list(swings.columns),
                _plain(swings),
                right=(2, 3),
            )
        )
    return made


def _plain(frame: pd.DataFrame) -> list[list[object]]:
    return [list(row) for row in frame.itertuples(index=False, name=None)]


def use_table(found: Finding) -> Table | None:
    """How much of each resource the largest load that passes uses; None where none does."""
    if not found.low:
        return None
    load = found.load(found.low)
    rows: list[Row] = [(use.name, f"{100 * use.share:.1f} %") for use in uses(load, found.node)]
    names = {use.name for use in uses(load, found.node)}
    rows += [(name, "no limit was given") for name in ("memory", "egress") if name not in names]
    return table(
        f"What {found.low:,} users use of a node",
        "resources.csv",
        ("resource", "used"),
        rows,
        ("resource", "share"),
        [(use.name, use.share) for use in uses(load, found.node)],
        right=(1,),
    )


def sizes(found: Finding) -> Iterator[str]:
    """Memory, egress and theory, a sentence each."""
    if found.outcome in ("found", "more"):
        load = found.load(found.low)
        yield (
            f"At {found.low:,} users the node takes {load.mean('messages'):,.0f} messages/s, delivers "
            f"{load.mean('deliveries'):,.0f}/s, and sends {8 * load.mean('egress_bytes') / 1e6:,.1f} Mbit/s "
            "(frames and records of TLS, without the headers of TCP and IP)."
        )
        each = found.node.connection_bytes
        yield (
            "What a connection takes of the memory is not known: the costs come without such a measurement."
            if each is None
            else f"Its connections take {found.low * found.node.devices * each / 2**20:,.0f} MiB, "
            f"{each / 1024:.1f} KiB each when quiet, by the calibration."
        )
    if found.outcome == "found" and found.theory:
        yield (
            f"M/G/1, out of the works of the lightest load alone ({found.loads[0].users:,} users), says "
            f"{found.theory:,} ({100 * (found.theory / found.low - 1):+.0f} %): it knows nothing of writes "
            "that a busy node collects, "
            "nor of arrivals that come together."
        )
    plan = found.plan
    if plan is not None:
        yield (
            f"{plan.users:,} users on {plan.nodes:,} nodes are {plan.users_a_node:,} each, which keeps the event loop "
            f"{100 * plan.busy:.0f} % busy; headroom alone asks for {plan.for_headroom:,} nodes of {plan.usable:,}, "
            f"the loss of one for {plan.for_loss:,}{_storm_asks(plan)}. Square-root staffing says {plan.pooled:,}, if "
            "any node could do anybody's work, which rooms that live on one node do not allow."
        )
        memory = "" if plan.memory_bytes is None else f" and holds {plan.memory_bytes / 2**20:,.0f} MiB of connections"
        yield f"Each of them then sends {8 * plan.egress_bytes / 1e6:,.1f} Mbit/s{memory}."


def _storm_asks(plan: Plan) -> str:
    if plan.for_storm is None:
        return ""
    return f", and everybody's coming back at once, before anybody is shown to have left, for {plan.for_storm:,}"


def failures(found: Finding) -> Iterator[str]:
    """What a lost node and a storm do, a sentence each."""
    plan, storm = found.plan, found.storm
    if plan is not None:
        kept = "within" if plan.users_lost <= plan.capacity else "beyond"
        yield (
            f"One node lost: the others carry {plan.users_lost:,} each, {kept} the capacity of {plan.capacity:,}, "
            f"their event loops {100 * plan.busy_lost:.0f} % busy."
        )
    if storm is None:
        return
    yield (
        f"Everybody on a node ({storm.users:,}) comes back at once: a handshake takes "
        f"{quantity(storm.handshake_s, 's')}, so that a node does at most {storm.possible:,.0f} a second, "
        f"{min(storm.free * storm.possible, storm.door):,.0f} beside its chat (its door lets in {storm.door:,.0f}); "
        f"that is {_never(storm.back_s)}."
    )
    if storm.played_max_s is not None and storm.played_p50_s is not None and storm.played_p99_s is not None:
        yield (
            f"Played: half are back within {quantity(storm.played_p50_s, 's')}, the last after "
            f"{_never(storm.played_max_s)}; meanwhile the p99 of deliveries is {_never(storm.played_p99_s)}, and "
            f"{storm.played_lost or 'no'} messages are lost."
        )
    elif storm.why:
        yield f"The storm could not be played: {storm.why}"


def _never(value_s: float) -> str:
    return quantity(value_s, "s") if isfinite(value_s) else "for ever"


def assumptions(found: Finding) -> Iterator[str]:
    """What the answer takes for granted."""
    costs = found.words.get("costs", "default")
    said = "`default`, the shipped ones" if costs == "default" else "the scenario's own"
    if isinstance(costs, str) and costs != "default":
        said = f"`{Path(costs).name}`"
    yield (
        f"The costs of the node's work are {said}: the answer is one for the machine on which they were measured, one "
        "node using one core."
    )
    yield (
        f"A load is carried where {found.target} holds for the mean over runs, and neither event loop nor log is over "
        f"{100 * BUSY_MAX:g} % busy: above that a queue settles so slowly that a run of seconds would flatter it."
    )
    yield (
        f"Each load is judged after {FIRST} runs, and again after as many more up to {N_MAX}; all verdicts together "
        f"are right at {100 * LEVEL:g} %, so that the capacity lies between the largest load that passes "
        f"and the smallest that fails. Loads are {100 * found.step:g} % apart."
    )
    yield (
        "All loads, and all factors, share their luck run by run. Factors are compared by the mean of two runs each, "
        "on loads that are 3 % apart: a change of one step may be no change."
    )
    yield (
        "Groups grow together, and rooms keep their size. People come in as fast as the scenario says, past the door's "
        "limit (`accept_rate`), which is a question of storms; what is measured begins after the warm-up."
    )
    yield (
        "Where the costs have the pauses of the garbage collector, each run begins anywhere between two of them: what "
        "a node has stored before is not known."
    )
    yield (
        "Not modelled: other processes of the machine, the kernel's own work, a network card, a load balancer, garbage "
        "collection beyond what the costs say of it, and rooms whose people are on several nodes."
    )


def validation(folder: Path) -> list[str]:
    """What `validation.csv` in a folder says of how far the simulation may be believed, however its columns are
    called."""
    try:
        rows = pd.read_csv(folder / "validation.csv")
    except (OSError, ValueError, UnicodeDecodeError):
        return [NOT_VALIDATED]
    judged = next((name for name in rows.columns if f"{name}".lower() in ("verdict", "result", "equivalent")), None)
    if rows.empty or judged is None:
        return [f"results/validation.csv has {len(rows)} rows, and no verdict that can be read: see it itself."]
    good = rows[judged].astype("string").str.lower().isin(["pass", "passed", "true", "equivalent", "yes", "ok"])
    said = f"results/validation.csv: {int(good.sum())} of {len(rows)} comparisons with the real backend pass"
    named = next((name for name in rows.columns if f"{name}".lower() in ("pair", "scenario", "name")), None)
    if named is None:
        return [f"{said}."]
    whole = good.groupby(rows[named], sort=False).all()
    told = [f"{said}, and {int(whole.sum())} of {len(whole)} pairs in all of theirs ({SHARE_MIN:.0%} are wanted)."]
    if not good.all():
        bad = list(whole.index[~whole])
        more = "" if len(bad) <= 5 else f" and {len(bad) - 5} more"
        told.append(f"Those that do not are of {', '.join(bad[:5])}{more}: loads like them are not to be believed.")
    if "counts_differ" in rows.columns:
        differ = rows["counts_differ"].notna().groupby(rows[named], sort=False).any()
        told.append(f"What is counted is equal in {int((~differ).sum())} of {len(whole)}.")
    return [*told, "What was found out of simulations that are wrong on purpose, validation.html says."]


def asked(found: Finding) -> str:
    """The question in a sentence."""
    more = "" if found.plan is None else f", and how many nodes do {found.plan.users:,} need"
    return (
        f"How many users of the kind that `{found.scenario}` describes does one node carry while {found.target}{more}?"
    )


def headline(found: Finding) -> Sequence[tuple[str, str]]:
    """The few numbers that stand on top, by what they are."""
    if found.outcome != "found":
        return ()
    made = [("users on one node", f"{found.low:,}"), ("interval, 95 %", f"{found.low:,} to {found.high:,}")]
    made.append(("binds", found.binding))
    made.append(("limit", limit_said(found)))
    if found.plan is not None:
        made.append((f"nodes for {found.plan.users:,}", f"{found.plan.nodes:,}"))
        if found.plan.cost_h is not None:
            made.append(("cost an hour", f"{found.plan.cost_h:,.2f}"))
    return made
