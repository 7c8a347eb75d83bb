"""Settings of the handler out of a seed: what holds whoever comes, and what is few or many for those who come.

Decides how each setting is drawn. Rule: within its legal bounds, and so that everybody who wants to be there can come
to rest: a node that has no room for all of its people is never done with them.
"""

from __future__ import annotations

from chatsim.explore.lots import Lots, Words
from chatsim.people.tokens import HELD_MAX

NONE_OF_TEN = 0.1
"""Where nothing at all makes sense, it is drawn in this share of the cases."""


def _or_none(lots: Lots, low_s: float, high_s: float) -> str:
    return "0s" if lots.chance(NONE_OF_TEN) else lots.duration(low_s, high_s)


def settings(lots: Lots) -> Words:
    """Settings within their legal bounds: short intervals, so that much happens in a minute, and small limits."""
    made: Words = {}
    ping_s, pong_s = lots.number(4, 20), lots.number(1.5, 8)
    made["ping_interval"], made["pong_timeout"] = f"{ping_s:g}s", f"{pong_s:g}s"
    retry_s, retries = lots.number(4, 15), lots.pick((0, 1, 2, 3, 3, 3, 3, 4))
    # Finding a dead peer must not outlast the retries.
    retry_s = max(retry_s, round((ping_s + pong_s) / (retries + 1) + 0.5, 3))
    made["retry_interval"], made["retries"] = f"{retry_s:g}s", retries
    # Kept for as long as finding a dead peer and coming back, 30 s, may take.
    retention_s = ping_s + pong_s + 30.5 + (lots.number(0, 60) if lots.chance(0.6) else 0)
    made["retention"] = f"{retention_s:g}s"
    made["dedupe_for"] = f"{retention_s + lots.number(0, 60):g}s"
    made["stale_after"] = f"{ping_s + pong_s + lots.number(5, 60):g}s"
    made["sweep_interval"] = lots.duration(3, 30)
    made["presence_grace"] = _or_none(lots, 1, 20)
    made["typing_interval"] = lots.duration(0.5, 4)
    made["typing_lapse"] = lots.duration(4, 12)
    made["token_warning"], made["token_grace"] = _or_none(lots, 2, 20), _or_none(lots, 1, 15)
    if lots.chance(0.12):
        made["reliability"] = "baseline"
    _rates(lots, made)
    _room(lots, made)
    for word in ("audience", "issuer"):
        if lots.chance(0.1):
            made[word] = "explore"
    return made


def _rates(lots: Lots, made: Words) -> None:
    """How much may be sent in how long."""
    if lots.chance(0.7):
        made["rate_limit"] = f"{lots.whole(4, 30)}/min" if lots.chance(0.7) else f"{lots.whole(1, 3)}/s"
        # What is exact is what most of it is about.
        made["rate_algorithm"] = lots.pick(("sliding", "sliding", "sliding", "sliding", "fixed", "token_bucket"))
    if lots.chance(0.3):
        made["frame_limit"] = f"{lots.whole(30, 200)}/min" if lots.chance(0.5) else f"{lots.whole(4, 12)}/s"
    if lots.chance(0.4):
        made["violation_limit"] = f"{lots.whole(1, 5)}/{lots.pick(('min', 'min', 's'))}"


def _room(lots: Lots, made: Words) -> None:
    """How much may be kept, may wait, and may come."""
    if lots.chance(0.4):
        made["retention_messages"] = lots.whole(2, 40)
    if lots.chance(0.2):
        made["retention_bytes"] = f"{lots.whole(500, 5000)}B"
    if lots.chance(0.5):
        # So few that replays go out in parts.
        low, high = lots.pick(((4, 12), (8, 60)))
        made["outbound_frames"], made["outbound_bytes"] = lots.whole(low, high), f"{lots.whole(400, 6000)}B"
    if lots.chance(0.4):
        made["connections_per_user"] = lots.whole(1, 3)
    if lots.chance(0.2):
        made["drain_window"] = _or_none(lots, 1, 10)
    if lots.chance(0.3):
        made["message_bytes_max"] = f"{lots.whole(1024, 3000)}B"
        if "outbound_bytes" in made:
            # One message that is more than may wait would never get through.
            made["outbound_bytes"] = f"{lots.whole(7000, 15_000)}B"


def unfelt(lots: Lots, handler: Words) -> None:
    """Settings that nobody in a run is to feel, into `handler`: what is kept to be read touches nothing that is
    delivered, a limit for who opens sessions nobody whose session stands in her token, and neither a list of origins
    nor compression those who name none and offer none."""
    if lots.chance(0.15):
        handler["history_for"] = _or_none(lots, 1, 60)
    if lots.chance(0.15):
        handler["history_messages"] = lots.whole(0, 20)
    if lots.chance(0.15):
        handler["history_messages_max"] = lots.whole(0, 100)
    if lots.chance(0.15):
        handler["sessions_per_user"] = lots.whole(1, 3)
    if lots.chance(0.2):
        handler["compression"] = True
    if lots.chance(0.1):
        handler["origins"] = ["https://chat.example"]


def limits(lots: Lots, handler: Words, groups: list[Words], events: list[Words]) -> None:
    """Limits that depend on how many people there are, into `handler`."""
    arriving = [(event["group"], event["users"]) for event in events if event["do"] == "arrive"]
    users = {
        group["name"]: group["users"] + sum(n for name, n in arriving if name == group["name"]) for group in groups
    }
    connections = sum(users[group["name"]] * group.get("connections_per_user", 1) for group in groups)
    sessions = sum(-(-users[group["name"]] // group["session_size"]) for group in groups)
    if lots.chance(0.25):
        # Who is gone without a word takes up room until that is found out, and others are refused meanwhile.
        handler["connections_max"] = connections + lots.pick((0, 0, 1, 3))
    for word in ("accept_rate", "resume_rate"):
        if lots.chance(0.2):
            handler[word] = lots.pick(("30/min", "1/s", "2/s", "5/s"))
    if lots.chance(0.2):
        handler["sessions_per_connection"] = lots.whole(1, 2)
    if lots.chance(0.15):
        handler["sessions_max"] = lots.whole(1, sessions + 3)
    if lots.chance(0.15):
        handler["participants_max"] = lots.whole(1, max(group["session_size"] for group in groups) + 1)
    if lots.chance(0.2):
        # A revocation for which there is no room is refused, which whoever orders it takes for a fault of the node: so
        # there is room for each token that anybody may hold, and for that of `credentials: revoked`.
        orders = sum(event["do"] == "revoke" for event in events)
        handler["revocations_max"] = orders * connections * HELD_MAX + 1 + lots.whole(0, 3)
