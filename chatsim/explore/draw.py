"""From a seed to a whole scenario: load, network, settings of the handler, and the faults with their times and victims.

Decides what is looked at. Rule: everything is drawn from the seed, and everything drawn is legal: a handler whose
settings contradict each other proves nothing. A run has two phases, faults and then calm, in which all has to come to
rest. Some kinds of faults are left out of each run altogether, since many kinds at once hide what few would show.
Playing it, and whether it went well, is left to `play`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias, get_args

from chatsim.explore.lots import Lots, Words
from chatsim.explore.settings import limits, settings, unfelt
from chatsim.people.tokens import HELD_MAX
from chatsim.scenario.costs import FINER
from chatsim.scenario.costs import WORDS as COSTS
from chatsim.scenario.events import Broken
from chatsim.scenario.model import Credentials, Scenario

FAULTS_UNTIL: Final = 0.7
"""The share of a run within which faults begin and end; a part of what is left is spent on coming to rest."""

FAULTS_MAX: Final = 10

P99_S_MAX: Final = 0.6
"""Of a log-normal latency about a median of 20 ms: from one of 3 s on, one in a million takes ten minutes."""

_SPOILT: Final = tuple(kind for kind in get_args(Credentials) if kind != "good")

_NO_TEXT: Final = ("binary", "bad_utf8")

TRACE: Final = Path(__file__).with_name("moments.txt")
"""Recorded moments for `arrivals: trace`: bursts, some at one instant, and pauses; all are there before the first."""

_OF_THE_FILE: Final = "says nothing of what is played"

UNDRAWN: Final[dict[str, dict[str, str]]] = {
    "handler": {"algorithms": "the crowd signs with one of them, and a node that pins others would let nobody in"},
    "scenario": {
        "description": _OF_THE_FILE,
        "requirements": _OF_THE_FILE,
        "tags": _OF_THE_FILE,
        "expect": _OF_THE_FILE,
        "live": "neither wire of explore is live",
        "nodes": "there is one so far",
    },
    "trace": {"moments_s": "they stand in a file, of which there is one"},
}
"""Of everything that a scenario may say the words that are the same whatever the seed, each with its reason."""

STAY_S: Final = 90.0
"""Longer than a client has to be there for its next dial to be a first one, which it makes soon."""


def draw(seed: int) -> Scenario:
    """The scenario of a seed: every wire of explore can play it."""
    return Scenario.of(words(seed))


def words(seed: int) -> Words:
    """The scenario of a seed, in the words of a scenario file."""
    lots = Lots(seed)
    duration_s = lots.whole(40, 150)
    handler = settings(lots)
    groups = [_group(lots, place, duration_s, handler) for place in range(lots.pick((1, 1, 1, 2, 2, 3)))]
    narrow = ""
    if lots.chance(0.4):
        narrow = _narrow(lots, handler, groups)
    events = _events(lots, groups, duration_s)
    if narrow:
        # Whoever has a narrow link is to be behind while retries are due.
        at_s = lots.number(0.2, 0.4) * duration_s
        events.append({"at": f"{at_s:g}s", "do": "vanish", "group": narrow, "for": lots.duration(4, 0.25 * duration_s)})
    limits(lots, handler, groups, events)
    made: Words = {
        "name": f"explore-{seed}",
        "description": "Drawn from a seed.",
        "seed": seed,
        "duration": f"{duration_s}s",
        "handler": handler,
        "groups": groups,
        "events": events,
        "expect": ["lost == 0"],
    }
    if lots.chance(0.7):
        made["costs"] = 0
    elif lots.chance(0.5):
        made["costs"] = {word: _cost(lots) for word in lots.some(COSTS, 0.6)}
    if lots.chance(0.15):
        made["tls"] = True
    if lots.chance(0.1):
        made["warmup"] = lots.duration(1, 20)
    if lots.chance(0.5):
        made["log"] = {"latency": _latency(lots, lots.pick((0.4, 0.4, 3.0)))}
    if lots.chance(0.8):
        made["ties"] = seed
    # Drawn last, so that all else is what it would be without.
    if handler.get("reliability") == "baseline":
        _leave_to_the_sweep(lots, made, duration_s)
    elif lots.chance(0.2):
        _stay_away(lots, made, duration_s)
    _post_to_the_dead(lots, made)
    _hand_in(lots, made, duration_s)
    _post_to_the_gone(lots, made, duration_s)
    _revoke_whole(lots, made)
    _break_otherwise(lots, made)
    _ack_each(lots, made)
    _open_for_a_time(lots, made, duration_s)
    _let_stay(handler, groups, events)
    # From a stream of their own, for the same reason.
    more = Lots(seed, 1)
    unfelt(more, handler)
    _store(more, made)
    _tell_costs_apart(more, made)
    _replay_moments(more, groups)
    _knock_in_vain(more, made)
    _outlive_tokens(more, made, duration_s)
    _leave_owing(more, made, duration_s)
    _drop_what_is_under_way(more, made, duration_s)
    _post_to_the_gone(more, made, duration_s)
    return made


def _store(lots: Lots, made: Words) -> None:
    """Where the log is kept: in a file, with one commit after the other, which takes what came meanwhile together; or
    in memory, where nothing asks for what a log outlives."""
    if not lots.chance(0.3):
        return
    log = made.setdefault("log", {})
    asked = any(event["do"] in _ASK_THE_LOG for event in made["events"])
    log["store"] = "sqlite" if asked or lots.chance(0.8) else "memory"
    if log["store"] == "sqlite" and "latency" not in log:
        # A commit that takes no time has nothing to take together.
        log["latency"] = _latency(lots, 0.4)


def _tell_costs_apart(lots: Lots, made: Words) -> None:
    """Some costs are told apart more finely, those of commits among them, and the machine's pace wavers, where any are
    told."""
    if isinstance(made.get("costs"), dict):
        made["costs"] |= {word: _cost(lots) for word in lots.some(FINER, 0.4)}
        if lots.chance(0.3):
            made["costs"]["pace"] = {"uniform": {"low": 0.5, "high": lots.number(1, 3)}}
            made["costs"]["pace_hold"] = {"exponential": {"mean": lots.duration(0.1, 5)}}


def _replay_moments(lots: Lots, groups: list[Words]) -> None:
    """Now and then a group writes at moments that were recorded, and all of it is there before the first."""
    if lots.chance(0.025):
        group = lots.pick(groups)
        group["messages"] = {"arrivals": "trace", "file": str(TRACE)}
        group.pop("arrive_over", None)


def _knock_in_vain(lots: Lots, made: Words) -> None:
    """A few more people come, with credentials that are no good: nobody else is to feel it."""
    if not lots.chance(0.12):
        return
    groups, handler = made["groups"], made["handler"]
    users = lots.whole(1, 3)
    groups.append(
        {
            "name": f"g{len(groups)}",
            "users": users,
            "session_size": lots.whole(1, users),
            "network": {"latency": _latency(lots, 0.25)},
            "messages": _messages(lots, int(made["duration"][:-1])),
            "credentials": lots.pick(_SPOILT),
        }
    )
    if "revocations_max" in handler:
        # Whoever is revoked may be one of these.
        handler["revocations_max"] += HELD_MAX * users * sum(event["do"] == "revoke" for event in made["events"])


def _outlive_tokens(lots: Lots, made: Words, duration_s: int) -> None:
    """The clock is set beyond the end of a group's tokens, and back again a while later, where nothing else sets it and
    a token can be renewed."""
    handler, events = made["handler"], made["events"]
    renewed = any(float(handler[word][:-1]) > 0 for word in ("token_warning", "token_grace"))
    if not lots.chance(0.06) or not renewed or any(event["do"] == "clock_jump" for event in events):
        return
    by_s, at_s = lots.whole(15, 60), lots.number(4, 0.5 * duration_s)
    lots.pick(made["groups"])["token_ttl"] = f"{lots.number(10, by_s):g}s"
    events.append({"at": f"{at_s:g}s", "do": "clock_jump", "by": f"{by_s}s"})
    events.append({"at": f"{at_s + lots.number(0.5, 8):g}s", "do": "clock_jump", "by": f"-{by_s}s"})


def _leave_owing(lots: Lots, made: Words, duration_s: int) -> None:
    """Somebody leaves, or is taken out, when for a while nobody has acked anything."""
    if lots.chance(0.06):
        at_s, while_s = lots.number(4, 0.5 * duration_s), lots.number(2, 7)
        made["events"].append({"at": f"{at_s:g}s", "do": "withhold_acks", "for": f"{while_s + 1:g}s"})
        do = lots.pick(("leave", "remove_participant"))
        made["events"].append({"at": f"{at_s + while_s:g}s", "do": do, "count": 1, "for": lots.duration(1, 5)})


def _drop_what_is_under_way(lots: Lots, made: Words, duration_s: int) -> None:
    """Everybody is thrown out while the log takes long, and repeats what it has not answered."""
    if lots.chance(0.05):
        made.setdefault("log", {})["latency"] = {"exponential": {"mean": f"{lots.number(0.5, 3):g}s"}}
        made["events"].append({"at": f"{lots.number(4, FAULTS_UNTIL * duration_s):g}s", "do": "drop"})


def _let_stay(handler: Words, groups: list[Words], events: list[Words]) -> None:
    """Where the node's clock ends up ahead, or leaves no time to renew a token, one that it lets in is good for so
    long that a client comes back soon: or everybody comes and goes for ever, and never are all there at once."""
    ahead_s = sum(float(event["by"][:-1]) for event in events if event["do"] == "clock_jump")
    ends = all(float(handler[word][:-1]) == 0 for word in ("token_warning", "token_grace"))
    for group in groups:
        if (ahead_s > 0 or ends) and "token_ttl" in group and 0 < float(group["token_ttl"][:-1]) - ahead_s < STAY_S:
            group["token_ttl"] = f"{ahead_s + STAY_S:g}s"


def _leave_to_the_sweep(lots: Lots, made: Words, duration_s: int) -> None:
    """Under `baseline` the sweep alone finds who is gone: let somebody go for good, early, and let it come soon."""
    handler = made["handler"]
    quiet_s = sum(float(handler[word][:-1]) for word in ("ping_interval", "pong_timeout"))
    handler["stale_after"], handler["sweep_interval"] = f"{quiet_s + lots.number(1, 10):g}s", lots.duration(2, 8)
    made["events"].append({"at": f"{lots.number(0.3, 0.5) * duration_s:g}s", "do": "vanish", "count": 1})


def _stay_away(lots: Lots, made: Words, duration_s: int) -> None:
    """Somebody comes back after more than the time of retention, and asks for what she missed, where a run is as long
    as that."""
    away_s = float(made["handler"]["retention"][:-1]) + lots.number(0.5, 8)
    at_s = lots.number(4, 8)
    if at_s + away_s < FAULTS_UNTIL * duration_s:
        made["events"].append({"at": f"{at_s:g}s", "do": "vanish", "count": 1, "for": f"{away_s:g}s"})


def _post_to_the_dead(lots: Lots, made: Words) -> None:
    """Everybody is written to while a device is dead and nobody has noticed, where people have several of them."""
    gone = [event for event in made["events"] if event["do"] == "vanish"]
    if gone and any("connections_per_user" in group for group in made["groups"]) and lots.chance(0.5):
        made["events"].append({"at": f"{float(lots.pick(gone)['at'][:-1]) + lots.number(0.2, 4):g}s", "do": "post"})


def _hand_in(lots: Lots, made: Words, duration_s: int) -> None:
    """Somebody hands in a token, which may be no good."""
    if lots.chance(0.3):
        at_s = lots.number(1, FAULTS_UNTIL * duration_s)
        event = {"at": f"{at_s:g}s", "do": "refresh_token", **_KINDS["refresh_token"](lots, 0.0)}
        _victims(lots, made["groups"], event)
        made["events"].append(event)


def _post_to_the_gone(lots: Lots, made: Words, duration_s: int) -> None:
    """Somebody goes for good, and is written to when nothing is owed to her any more, but before the sweep that forgets
    her, in a run that is long enough."""
    handler = made["handler"]
    if not lots.chance(0.08) or handler.get("reliability") == "baseline":
        return
    found_s = sum(float(handler[word][:-1]) for word in ("ping_interval", "pong_timeout"))
    at_s, kept_s = lots.number(2, 4), round(found_s + 30.5, 3)
    post_at_s = at_s + found_s + kept_s + lots.number(0.5, 3)
    if post_at_s < FAULTS_UNTIL * duration_s:
        handler["retention"], handler["sweep_interval"] = f"{kept_s:g}s", lots.duration(20, 30)
        made["events"].append({"at": f"{at_s:g}s", "do": "vanish", "count": 1})
        made["events"].append({"at": f"{post_at_s:g}s", "do": "post"})


def _revoke_whole(lots: Lots, made: Words) -> None:
    """Some are revoked as users, and not the tokens that they hold."""
    for event in made["events"]:
        if event["do"] == "revoke" and lots.chance(0.5):
            event["of"] = "user"


def _break_otherwise(lots: Lots, made: Words) -> None:
    """Some of what is no frame is none in another way than most; what is no text ends its connection for good, and
    often comes with a heartbeat, so that there is something before it in the same read."""
    for event in made["events"]:
        if event["do"] != "bad_frames" or not lots.chance(0.5):
            continue
        event["kind"] = lots.pick((*get_args(Broken), *_NO_TEXT))
        if event["kind"] in _NO_TEXT and lots.chance(0.5):
            group = lots.pick([group for group in made["groups"] if group["name"] == event.get("group", group["name"])])
            group["heartbeat"], group["network"]["latency"] = "1s", {"constant": "20ms"}
            group.pop("arrive_over", None)
            event["at"] = f"{max(round(float(event['at'][:-1])), 1)}s"


def _ack_each(lots: Lots, made: Words) -> None:
    """Some people ack each message by its name: what they do not ack is not covered by what they ack later."""
    for group in made["groups"]:
        if lots.chance(0.25):
            group["ack_each"] = True


def _open_for_a_time(lots: Lots, made: Words, duration_s: int) -> None:
    """A session ends, and is opened again for a time after which it ends by itself, while the clock may be set."""
    if not lots.chance(0.2):
        return
    until_s = FAULTS_UNTIL * duration_s
    back_s, lasts_s = lots.number(0.5, 6), lots.number(2, 0.4 * duration_s)
    at_s = lots.number(4, max(until_s - 2 * back_s - lasts_s, 4.5))
    event = {"at": f"{at_s:g}s", "do": "end_session", "for": f"{back_s:g}s", "ttl": f"{lasts_s:g}s"}
    _victims(lots, made["groups"], event)
    made["events"].append(event)
    if lots.chance(0.3):
        set_at_s = min(at_s + back_s + lots.number(0, lasts_s), until_s)
        made["events"].append({"at": f"{set_at_s:g}s", "do": "clock_jump", "by": lots.pick(("-5s", "5s"))})


def _cost(lots: Lots) -> Words:
    """Some time of the node's loop for one piece of work: always the same, or scattered."""
    mean = f"{lots.pick((0.01, 0.1, 1.0))}ms"
    return {"constant": mean} if lots.chance(0.5) else {"exponential": {"mean": mean}}


def _latency(lots: Lots, mean_s_max: float) -> Words:
    """Latencies: none, all the same (moments coincide), or scattered."""
    kind = lots.whole(0, 4)
    if kind == 0:
        return {"constant": "0s"}
    if kind == 1:
        return {"constant": lots.pick(("5ms", "50ms", "250ms"))}
    if kind == 2:
        p99_s = lots.number(0.05, min(mean_s_max + 0.1, P99_S_MAX))
        return {"lognormal": {"median": "20ms", "p99": f"{p99_s:g}s"}, "shift": "1ms"}
    return {"exponential": {"mean": f"{lots.number(0.002, mean_s_max):g}s"}}


def _group(lots: Lots, place: int, duration_s: int, handler: Words) -> Words:
    users = lots.whole(1, 7)
    made: Words = {
        "name": f"g{place}",
        "users": users,
        "session_size": lots.whole(1, users),
        "network": {"latency": _latency(lots, 0.25)},
    }
    if lots.chance(0.6):
        made["arrive_over"] = f"{lots.whole(1, duration_s // 4)}s"
    if lots.chance(0.4):
        made["connections_per_user"] = lots.whole(2, 3)
    if lots.chance(0.9):
        made["messages"] = _messages(lots, duration_s)
    _bodies(lots, made, handler)
    for word in ("typing", "presence"):
        if lots.chance(0.5):
            made[word] = True
    if lots.chance(0.2):
        made["heartbeat"] = lots.duration(2, 20)
    if lots.chance(0.4):
        made["token_ttl"] = lots.duration(10, duration_s)
    _oddities(lots, place, made)
    return made


def _oddities(lots: Lots, place: int, made: Words) -> None:
    """What few groups are like."""
    if lots.chance(0.15):
        made["network"]["loss"] = f"{lots.number(0.5, 10):g}%"
    if lots.chance(0.1):
        made["acks"] = False
    if lots.chance(0.08):
        made["reconnect"] = False
    if place and lots.chance(0.15):
        made["credentials"] = lots.pick(_SPOILT)


def _bodies(lots: Lots, made: Words, handler: Words) -> None:
    if "message_bytes_max" in handler and lots.chance(0.6):
        made["body_bytes"] = _near(lots, int(handler["message_bytes_max"][:-1]))
    elif lots.chance(0.5):
        made["body_bytes"] = lots.whole(2, 300)


def _near(lots: Lots, bytes_max: int) -> Words:
    """Bodies of which a few are as large as they may be, or with what is around them a little larger."""
    rare = f"{lots.whole(1, 6)}%"
    return {
        "mixture": [
            {"weight": "94%", "constant": f"{lots.whole(2, 300)}B"},
            {"weight": rare, "uniform": {"low": f"{bytes_max - 150}B", "high": f"{bytes_max + 10}B"}},
        ]
    }


def _narrow(lots: Lots, handler: Words, groups: list[Words]) -> str:
    """Give a group links so narrow, and replays parts so small, that who comes back is behind for a while; what waits
    for her meanwhile is within her limits, or nobody would ever come to rest. Returns the group's name."""
    group = lots.pick(groups)
    group["network"]["bandwidth"] = f"{lots.whole(6, 24)}kbit/s"
    least = 3000 if "message_bytes_max" not in handler else 9000
    handler["outbound_frames"], handler["outbound_bytes"] = lots.whole(12, 40), f"{lots.whole(least, least + 9000)}B"
    name: str = group["name"]
    return name


def _messages(lots: Lots, duration_s: int) -> Words:
    rate = f"{lots.number(2, 25):g}/min"
    kind = lots.whole(0, 5)
    if kind <= 1:
        return {"arrivals": "poisson", "rate": rate}
    if kind == 2:
        return {"arrivals": "periodic", "rate": f"{lots.pick((6, 10, 12, 20, 30))}/min"}
    if kind == 3:
        return {"arrivals": "closed", "think": {"exponential": {"mean": lots.duration(1, 10)}}}
    half = f"{duration_s // 2}s"
    return {"arrivals": "profile", "profile": [["0s", rate], [half, f"{lots.number(5, 60):g}/min"]]}


# Faults. Each gets the time that is left for it (s), and may use up to all of it.

_Fault: TypeAlias = Callable[[Lots, float], Words]


def _for(lots: Lots, left_s: float, low_s: float, high_s: float) -> str:
    return lots.duration(min(low_s, left_s), max(min(high_s, left_s), 0.1))


def _vanish(lots: Lots, left_s: float) -> Words:
    return {} if lots.chance(0.3) else {"for": _for(lots, left_s, 0.5, 60)}


def _and_back(lots: Lots, left_s: float) -> Words:
    return {} if lots.chance(0.3) else {"for": _for(lots, left_s, 0.1, 30)}


def _bandwidth(lots: Lots, left_s: float) -> Words:
    return {"bandwidth": f"{lots.whole(2000, 20_000)}bit/s", "for": _for(lots, left_s, 5, 40)}


_KINDS: Final[dict[str, _Fault]] = {
    "drop": lambda lots, left_s: {},
    "vanish": _vanish,
    "freeze": lambda lots, left_s: {"for": _for(lots, left_s, 1, 60)},
    "slow_reader": _bandwidth,
    "latency": lambda lots, left_s: {"factor": lots.pick((2, 5, 20)), "for": _for(lots, left_s, 2, 30)},
    "loss": lambda lots, left_s: {"rate": f"{lots.whole(5, 60)}%", "for": _for(lots, left_s, 2, 30)},
    "partition": lambda lots, left_s: {"for": _for(lots, left_s, 0.5, 40)},
    # Five a second is one in each delay of an ack.
    "flood": lambda lots, left_s: {
        "rate": lots.pick(("1/s", "3/s", "5/s", "5/s", "12/s")),
        "for": _for(lots, left_s, 1, 8),
    },
    "withhold_acks": lambda lots, left_s: {"for": _for(lots, left_s, 5, 80)},
    "expire_tokens": lambda lots, left_s: {},
    "revoke": lambda lots, left_s: {},
    "bad_frames": lambda lots, left_s: {"rate": f"{lots.whole(1, 5)}/s", "for": _for(lots, left_s, 1, 8)},
    "leave": _and_back,
    "remove_participant": _and_back,
    "end_session": _and_back,
    "post": lambda lots, left_s: {},
    "trespass": lambda lots, left_s: {},
    "restart_node": lambda lots, left_s: {"down": _for(lots, left_s, 0.5, 20)},
    "drain_node": lambda lots, left_s: {},
    "crash_node": lambda lots, left_s: {"down": _for(lots, left_s, 0.1, 20)},
    "log_outage": lambda lots, left_s: {"for": _for(lots, left_s, 0.5, 15)},
    "clock_jump": lambda lots, left_s: {"by": lots.pick(("-5s", "5s", "20s", "40s", "-60s"))},
    "arrive": lambda lots, left_s: {"users": lots.whole(1, 3)},
    "refresh_token": lambda lots, left_s: {"token": lots.pick(("good", "expired", "forged", "foreign", "revoked"))},
}
_BY_ITSELF: Final = frozenset({"refresh_token"})
"""Not drawn among the others, so that these are what they would be without."""

_WITHOUT_VICTIMS: Final = frozenset({"restart_node", "drain_node", "crash_node", "log_outage", "clock_jump"})
_ASK_THE_LOG: Final = frozenset({"restart_node", "drain_node", "crash_node", "log_outage"})
"""What is not to be where the log is said to be in memory."""
_IN_ORDER: Final = frozenset({"restart_node", "drain_node"})
_CAPPED: Final = frozenset({"crash_node", "restart_node", "drain_node"})
"""Of these two in a run are enough: each makes everybody start again."""


def _events(lots: Lots, groups: list[Words], duration_s: int) -> list[Words]:
    kinds = lots.some(tuple(kind for kind in _KINDS if kind not in _BY_ITSELF), 0.35) or ["drop"]
    until_s = duration_s * FAULTS_UNTIL
    made: list[Words] = []
    node_events = 0
    # What follows an earlier fault closely meets what it has left behind.
    last_s = lots.number(2, until_s / 2)
    for _ in range(lots.whole(1, FAULTS_MAX)):
        kind = lots.pick(kinds)
        if kind in _CAPPED:
            node_events += 1
            if node_events > 2:
                continue
        near = made and lots.chance(0.4)
        at_s = min(last_s + lots.number(0, 4), until_s) if near else lots.number(1, until_s)
        at = f"{round(at_s)}s" if lots.chance(0.4) else f"{at_s:g}s"
        last_s = float(at[:-1])
        event = {"at": at, "do": kind, **_KINDS[kind](lots, max(until_s - last_s, 1.0))}
        if kind == "arrive":
            event["group"] = lots.pick(groups)["name"]
        elif kind not in _WITHOUT_VICTIMS:
            _victims(lots, groups, event)
        made.append(event)
        if kind in _IN_ORDER and lots.chance(0.3):
            # A node that is on its way out is killed before it has got there.
            made.append({"at": f"{last_s + lots.number(0, 1.2):g}s", "do": "crash_node", "down": lots.duration(0.1, 5)})
    return made


def _victims(lots: Lots, groups: list[Words], event: Words) -> None:
    if lots.chance(0.4):
        event["group"] = lots.pick(groups)["name"]
    if lots.chance(0.7):
        if lots.chance(0.5):
            event["share"] = lots.pick(("25%", "50%", "100%"))
        else:
            event["count"] = 1
