"""What a report says in words: promises as sentences, what a verdict means, and what a wire leaves out.

Decides the words. Rule: whatever is said follows from the run's numbers or is true of its wire; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, isinf, isnan
from typing import Any, Final

from chatsim.analysis.kept import KeptRepeated, KeptResult
from chatsim.journal.lives import is_elsewhere
from chatsim.scenario.expectations import Expectation, parse_expectation
from chatsim.scenario.units import beside, limited, quantity
from chatsim.verdict.judge import Judged

ELSEWHERE: Final = "elsewhere"
"""What stands here for the wire of a run on somebody else's server, each of which has an address of its own."""

OPERATORS: Final = {
    "<=": "at most",
    "<": "less than",
    ">=": "at least",
    ">": "more than",
    "==": "exactly",
}
METRICS: Final = {
    "delivery_latency": "the time from the intended sending of a message to its receipt",
    "ack_latency": "the time from the intended sending of a message to the server's ack",
    "stable_latency": "the time until every receiver has a message",
    "reconnect_time": "the time from a lost connection to being joined again",
    "detection_time": "the time until the server has closed a peer that is gone",
    "drain_time": "the time that a node takes to drain",
    "loop_lag": "the lag of the node's event loop",
    "utilisation": "the share of time for which the node's event loop is busy",
}
COUNTERS: Final = {
    "sent": "messages that people meant to send",
    "accepted": "messages that the log took",
    "duplicates_suppressed": "messages said twice and stored once",
    "rate_limited": "messages refused by the rate limit",
    "delivered": "deliveries that were acked",
    "copies": "copies of messages that devices received",
    "undelivered": "deliveries given up and reported to the sender",
    "lost": "messages acked and then lost without a word",
    "duplicates": "messages that a person saw twice",
    "out_of_order": "messages that a person saw out of order",
    "retries": "deliveries tried again",
    "gave_up": "deliveries given up after all retries",
    "resumes": "sessions resumed after a reconnection",
    "recovered": "resumptions that missed nothing",
    "unrecovered": "resumptions that came too late to have everything",
    "pings": "pings",
    "stale_closed": "connections closed by the sweep",
    "no_pong_closed": "connections closed for want of a pong",
    "slow_closed": "connections closed because their reader was too slow",
    "auth_refused": "connections refused for their token",
    "token_expired": "tokens that ended in a connection",
    "presence_events": "notices of presence",
    "typing_events": "notices of typing",
    "errors": "error frames",
    "turned_away": "times somebody was told that there is no room",
    "connections_peak": "connections open at once, at most",
}
ADVICE: Final = {
    "delivery_latency": "Look at the latency over time: slow messages inside a shaded fault are the fault's doing "
    "(reconnections, retries); slow ones all the time are the network's, or those of a node that is too busy.",
    "ack_latency": "The way to the server and its log decide this: look at the utilisation of the node and the log's "
    "latency.",
    "stable_latency": "The slowest receiver decides this: look at the groups with the worst network, and at faults.",
    "reconnect_time": "Backoff, accept_rate and resume_rate decide this: look at the herd that came back.",
    "detection_time": "ping_interval and pong_timeout decide this (the sweep where there is no pong timeout).",
    "drain_time": "drain_window and the slowest reader's queue decide this.",
    "loop_lag": "The node has more work than one event loop does in time: fewer users a node, or cheaper work.",
    "utilisation": "The node has more work than it should: fewer users a node, or cheaper work.",
    "lost": "Nothing may be lost: feed the journal to `chatsim replay`, look at the moment with `chatsim timeline`, "
    "and take it as a fault of the server, or of rules that lose by design (reliability: baseline).",
    "undelivered": "Receivers were away for longer than the retries, or never acked: look at the retries.",
    "gave_up": "Receivers were away for longer than the retries, or never acked: look at the retries.",
    "rate_limited": "People wrote more than rate_limit lets through: look at the limiter.",
    "duplicates": "A message was seen twice: look at resumptions with `chatsim timeline`.",
    "out_of_order": "Messages were seen out of order: look at resumptions with `chatsim timeline`.",
    "unrecovered": "People came back after retention had ended: lengthen retention, or find dead peers sooner.",
    "slow_closed": "Readers were slower than outbound_frames and outbound_bytes allow.",
    "auth_refused": "Tokens were refused: look at the life of tokens and at the clock.",
}
"""What decides a number, for who wants to change it."""

ASSUMED: Final = {
    "sim": (
        "The handler and the client are the code that serves; the network, the log and the node's work are models.",
        "Network latency is drawn for each frame and direction, and each connection keeps its order; loss is delay, as "
        "TCP makes it, and bytes vanish only when a peer does.",
        "The node is one event loop that does one thing at a time; each piece of work takes what `costs:` says. The "
        "defaults were measured with CPython 3.11 on one machine: calibrate before trusting a latency near a limit.",
    ),
    "virtual": (
        "The server and its clients are the asyncio code that serves, on a clock that skips what nobody waits for.",
        "Network latency is drawn for each frame and direction, and each connection keeps its order.",
        "The node's work takes no time: loop lag and utilisation are 0, and a latency is the network's alone.",
    ),
    "live": (
        "The server is a process of its own, on real sockets; the crowd applies the network's latency and loss to what "
        "it writes and reads.",
        "The crowd shares the machine with the server. It sends at its intended moments whatever the server answers.",
        "Where the scenario is played faster than life, durations and rates of the handler are scaled; latencies and "
        "their limits are not.",
    ),
    ELSEWHERE: (
        "The server is somebody else's, and only what its clients see is judged. There is no journal of it: who was "
        "connected when, and what happened second by second, is not shown.",
        "The crowd sends at its intended moments whatever the server answers.",
        "The settings of the handler that the scenario names are what the server is believed to have.",
    ),
}
NOT_MODELLED: Final = {
    ELSEWHERE: "the inside of that server: its processor, its queues and its faults",
    "sim": "other work of the machine, pauses of the interpreter, the kernel's buffers, TLS beyond its handshake, DNS, "
    "load balancers, compression, and more than one node",
    "virtual": "the node's speed, other work of the machine, the kernel's buffers, TLS beyond a round trip, DNS, load "
    "balancers, and more than one node",
    "live": "long distances and mobile networks beyond what the scenario says of them, other tenants, load balancers, "
    "and more than one node",
}


def sentence(text: str) -> str:
    """A promise in words; its own text where it cannot be read."""
    try:
        return _said(parse_expectation(text))
    except ValueError:
        return text


def _said(found: Expectation) -> str:
    limit = f"{OPERATORS[found.op]} {limited(found.limit, found.unit)}"
    if found.aggregate is None:
        if found.op in ("==", "<=") and found.limit == 0:
            return f"There are no {COUNTERS[found.metric]}."
        return f"There are {limit} {COUNTERS[found.metric]}."
    of = "" if found.group is None else f" in the group {found.group}"
    metric = METRICS[found.metric]
    if found.aggregate == "count":
        return f"There are {limit} samples of {metric}{of}."
    if found.aggregate in ("mean", "max", "min"):
        which = {"mean": "The mean of", "max": "The greatest value of", "min": "The smallest value of"}[found.aggregate]
        return f"{which} {metric}{of} is {limit}."
    return f"{found.aggregate[1:]} % of all values of {metric}{of} are within a value that is {limit}."


def meaning(run: KeptResult) -> list[str]:
    """What it means for somebody who must act, the gravest first."""
    found = [
        f"What must hold in every run does not: {each.name}, at {each.at:g} s. {each.sentence} {each.detail}"
        for each in run.violations
    ]
    if not run.valid:
        return [
            *found,
            f"Nothing can be concluded from this run: {run.why_invalid}.".replace("..", "."),
            "Put right what it names, and play it again (on live, `--attempts N` does so by itself where the machine "
            "was too busy).",
        ]
    asked = [judged for judged in run.expectations if judged.verdict != "skipped"]
    broken = [judged for judged in asked if judged.verdict != "pass"]
    found += _broken(broken)
    if asked and not broken:
        which = "Every promise holds" if len(asked) == len(run.expectations) else "Every promise that was judged holds"
        found.append(f"{which} in this run: {len(asked)} of {len(asked)}.")
        found += _nearest(asked)
    found += [f"{j.text} was not judged: {j.why}." for j in run.expectations if j.verdict == "skipped"]
    if is_elsewhere(run.wire):
        found.append("One run on one server is one observation: play it again, and compare it with the simulation.")
        return found
    found.append(
        "One run is one draw of luck. `chatsim replicate` plays it many times and says how sure each verdict is."
        if run.wire != "live"
        else "One run on one machine is one observation: play it again, and compare it with the simulation."
    )
    return found


def _broken(broken: list[Judged]) -> Iterator[str]:
    told: set[str] = set()
    for judged in broken:
        observed = beside(judged.observed, judged.limit, judged.unit)
        if isnan(judged.observed):
            yield f"{judged.text} fails: there was no sample, so that the scenario never did what it is judged by."
            continue
        never = " (what was never delivered counts as infinity)" if isinf(judged.observed) else ""
        yield f"{judged.text} fails: it is {observed}{never}."
        try:
            metric = parse_expectation(judged.text).metric
        except ValueError:
            continue
        if metric in ADVICE and ADVICE[metric] not in told:
            told.add(ADVICE[metric])
            yield ADVICE[metric]


def _nearest(expectations: list[Judged]) -> Iterator[str]:
    """The durations and shares that are nearest to their limits."""
    near = [
        (judged.observed / judged.limit, judged)
        for judged in expectations
        if judged.unit in ("s", "share") and "<" in judged.text and 0 < judged.limit < inf
    ]
    if near:
        used, judged = max(near, key=lambda pair: pair[0])
        observed = beside(judged.observed, judged.limit, judged.unit)
        yield f"Nearest to its limit is {judged.text}: {observed}, {100 * used:.0f} % of it."


def not_modelled(wire: str) -> str:
    """What a wire leaves out, to stand behind a colon."""
    return NOT_MODELLED.get(ELSEWHERE if is_elsewhere(wire) else wire, "what its wire leaves out")


def assumptions(run: KeptResult | KeptRepeated) -> list[str]:
    """What the run takes for granted."""
    kind = ELSEWHERE if is_elsewhere(run.wire) else run.wire
    return [*ASSUMED.get(kind, ()), *_of_words(run.words, run.wire), *_of_warmup(run)]


def _of_warmup(run: KeptResult | KeptRepeated) -> Iterator[str]:
    warmup_s = run.record.warmup_s if isinstance(run, KeptResult) else run.warmup_s
    if warmup_s:
        yield (
            f"Latencies are judged from {quantity(warmup_s, 's')} on, after the warm-up; counters cover the whole run."
        )


def _of_words(words: Mapping[str, Any], wire: str) -> Iterator[str]:
    """What the scenario itself says of its world."""
    groups = words.get("groups")
    for group in groups if isinstance(groups, list) else []:
        if isinstance(group, Mapping):
            network = group.get("network")
            said = "without latency" if not network else f"network {_flat(network)}"
            yield f"Group {group.get('name')}: {group.get('users')} users, {said}."
    if words.get("handler"):
        yield f"The handler's settings that are not at their defaults: {_flat(words['handler'])}."
    scale = words["live"].get("time_scale", 1) if isinstance(words.get("live"), Mapping) else 1
    if wire == "live" and scale != 1:
        yield f"The scenario was played {1 / float(scale):g} times as fast as it says."


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    return f"{value}"
