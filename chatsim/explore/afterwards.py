"""What is drawn of a scenario when all else of it is: what rarely comes about by itself, and where bugs have hidden.

Decides which of that a seed has. Rule: it is drawn last, or from a stream of its own, so that all else stays what it
would be without; and what is added is as legal as the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args

from chatsim.explore.faults import ASK_THE_LOG, FAULTS_UNTIL, KINDS, draw_victims
from chatsim.explore.groups import SPOILT, draw_latency, draw_messages
from chatsim.explore.lots import Lots, Words
from chatsim.explore.settings import unfelt
from chatsim.people.tokens import HELD_MAX
from chatsim.scenario.costs import FINER
from chatsim.scenario.events import Broken

TRACE: Final = Path(__file__).with_name("moments.txt")
"""Recorded moments for `arrivals: trace`: bursts, some at one instant, and pauses; all are there before the first."""

STAY_S: Final = 90.0
"""Longer than a client has to be there for its next dial to be a first one, which it makes soon."""

_NO_TEXT: Final = ("binary", "bad_utf8")


def drawn_last(lots: Lots, made: Words, duration_s: int) -> None:
    """What comes out of the stream of all else, behind it."""
    if made["handler"].get("reliability") == "baseline":
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
    _let_stay(made["handler"], made["groups"], made["events"])


def drawn_apart(lots: Lots, made: Words, duration_s: int) -> None:
    """What comes out of a stream of its own."""
    unfelt(lots, made["handler"])
    _store(lots, made)
    _tell_costs_apart(lots, made)
    _replay_moments(lots, made["groups"])
    _knock_in_vain(lots, made)
    _outlive_tokens(lots, made, duration_s)
    _leave_owing(lots, made, duration_s)
    _drop_what_is_under_way(lots, made, duration_s)
    _post_to_the_gone(lots, made, duration_s)
    _warn_anew(lots, made)
    _tell_commits_apart(lots, made)
    _ring_in_steps(lots, made)


def draw_cost(lots: Lots) -> Words:
    """Some time of the node's loop for one piece of work: always the same, or scattered."""
    mean = f"{lots.pick((0.01, 0.1, 1.0))}ms"
    return {"constant": mean} if lots.chance(0.5) else {"exponential": {"mean": mean}}


def _store(lots: Lots, made: Words) -> None:
    """Where the log is kept: in a file, with one commit after the other, which takes what came meanwhile together; or
    in memory, where nothing asks for what a log outlives."""
    if not lots.chance(0.3):
        return
    log = made.setdefault("log", {})
    asked = any(event["do"] in ASK_THE_LOG for event in made["events"])
    log["store"] = "sqlite" if asked or lots.chance(0.8) else "memory"
    if log["store"] == "sqlite" and "latency" not in log:
        # A commit that takes no time has nothing to take together.
        log["latency"] = draw_latency(lots, 0.4)


def _tell_costs_apart(lots: Lots, made: Words) -> None:
    """Some costs are told apart more finely, those of commits among them, and the machine's pace wavers, where any are
    told."""
    if isinstance(made.get("costs"), dict):
        costs: Words = {word: draw_cost(lots) for word in lots.some(FINER, 0.4)}
        if "cold" in costs:
            costs = {"wake": draw_cost(lots)} | costs | {"cold_after": lots.duration(0.001, 1)}
        made["costs"] |= costs
        if lots.chance(0.3):
            made["costs"]["pace"] = {"uniform": {"low": 0.5, "high": lots.number(1, 3)}}
            made["costs"]["pace_hold"] = {"exponential": {"mean": lots.duration(0.1, 5)}}


def _tell_commits_apart(lots: Lots, made: Words) -> None:
    """What the loop hears of commits costs something, and they take longer after a rest, where costs are told."""
    costs = made.get("costs")
    if isinstance(costs, dict) and lots.chance(0.4):
        costs["commit_heard"] = draw_cost(lots)
        costs |= {"commit": draw_cost(lots)} | costs | {"commit_cold": draw_cost(lots)}
        costs["commit_cold_after"] = lots.duration(0.001, 1)
        costs["commit_busy"] = lots.number(0, 1)


def _ring_in_steps(lots: Lots, made: Words) -> None:
    """The loop's clock counts in steps, where costs are told."""
    costs = made.get("costs")
    if isinstance(costs, dict) and lots.chance(0.4):
        costs["timer_step"] = lots.duration(0.001, 0.02, round_=0.0)


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
            "network": {"latency": draw_latency(lots, 0.25)},
            "messages": draw_messages(lots, int(made["duration"][:-1])),
            "credentials": lots.pick(SPOILT),
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


def _warn_anew(lots: Lots, made: Words) -> None:
    """The clock is set beyond the end of the tokens of a group, which cannot be renewed by it, and back before their
    grace is over, where nothing else sets it: they end once more, and whoever holds one is to be warned once more."""
    handler, events = made["handler"], made["events"]
    if not lots.chance(0.05) or any(event["do"] == "clock_jump" for event in events):
        return
    ttl_s, warning_s, at_s = lots.whole(20, 30), lots.whole(2, 5), lots.number(4, 8)
    handler["token_warning"], handler["token_grace"] = f"{warning_s}s", lots.duration(6, 15)
    group = lots.pick(made["groups"])
    group["token_ttl"] = f"{ttl_s}s"
    group.pop("arrive_over", None)
    events.append({"at": f"{at_s:g}s", "do": "clock_jump", "by": f"{ttl_s}s"})
    events.append({"at": f"{at_s + lots.number(0.5, 4):g}s", "do": "clock_jump", "by": f"-{ttl_s}s"})


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
        event = {"at": f"{at_s:g}s", "do": "refresh_token", **KINDS["refresh_token"](lots, 0.0)}
        draw_victims(lots, made["groups"], event)
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
    draw_victims(lots, made["groups"], event)
    made["events"].append(event)
    if lots.chance(0.3):
        set_at_s = min(at_s + back_s + lots.number(0, lasts_s), until_s)
        made["events"].append({"at": f"{set_at_s:g}s", "do": "clock_jump", "by": lots.pick(("-5s", "5s"))})
