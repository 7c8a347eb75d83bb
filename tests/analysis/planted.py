"""Counters of a calibration that never was: what the loads would show if the work cost exactly what is planted."""

from __future__ import annotations

import numpy as np

from chatsim.live.calibration.loads import KEPT, LOADS, Load
from chatsim.live.calibration.seen import Collection, Grown, Measured, Seen

IDLE = 0.002
"""Share of a processor that a silent server uses."""

COSTS_S = {
    "wake": 5e-6,
    "frame": 15e-6,
    "frame_ack": 11e-6,
    "frame_typing": 9e-6,
    "frame_presence": 8e-6,
    "frame_heartbeat": 7e-6,
    "frame_status": 14e-6,
    "recipient": 0.4e-6,
    "flush": 6e-6,
    "write": 7e-6,
    "owed": 2e-6,
    "settled": 3e-6,
    "append": 20e-6,
    "commit": 300e-6,
    "commit_cold": 500e-6,
    "commit_record": 9e-6,
    "commit_heard": 40e-6,
    "verify": 55e-6,
    "verify_es256": 144e-6,
    "handshake": 240e-6,
    "tls_handshake": 900e-6,
    "tls_frame": 4e-6,
    "tls_write": 3e-6,
    "ping": 12e-6,
}
"""Planted costs (s), by the names of the estimates."""

REFUSAL_S = 150e-6
"""What a handshake costs that is refused without a look at a token."""

COMMIT_CPU_S = 200e-6
COMMIT_COLD_AFTER_S = 0.004
ANSWER_S = 90e-6
"""After how long a message is acked by the log in memory, where the loop was awake."""


OPS, WALL_S = 200, 0.2


def ops_of(load: Load) -> int:
    """How many operations there are of a load: of those that take milliseconds as many as the time has room for, and of
    those that are acked together so many that no ack is still to come."""
    room = OPS if load.say != "talked" or load.listeners <= 10 else OPS // 4 if load.settles > 1 else OPS // 10
    return room - room % load.settles


def acks_of(load: Load) -> float:
    """How many acks follow from an operation by themselves, in the mean."""
    return load.listeners * load.frames / load.settles if load.say == "talked" else 0.0


def heard_of(load: Load) -> float:
    """How many frames come back for an operation."""
    return (1 + load.listeners) * load.frames + acks_of(load) if load.say == "talked" else load.heard


def notices_written(load: Load, wall_s: float) -> float:
    """How many writes the notices of an operation take: of those in 50 ms so many at once, and the others together, to
    each who spoke."""
    windows, talks = wall_s / 0.05, load.say == "talked"
    notices, speak = (acks_of(load), load.frames) if talks else (load.lines, 1)
    ops = ops_of(load)
    return notices if notices * ops <= 32 * windows else (32 + speak) * windows / ops


def told_s(load: Load, costs: dict[str, float], wall_s: float) -> float:
    """What the loop spends on telling of one operation of a load that lasts so long: what is for one alone is written
    at once."""
    frames = heard_of(load) if load.say in ("acked", "told", "talked") else load.lines
    several = load.say in ("told", "talked") and load.listeners > 1
    flushes, writes = min(load.frames, 2.0) if several else 0.0, float(frames)
    if load.say in ("acked", "talked"):
        notices = acks_of(load) if load.say == "talked" else frames
        written = notices_written(load, wall_s)
        flushes += (wall_s / 0.05) / ops_of(load) if written < notices else 0.0
        writes += written - notices
    return flushes * costs["flush"] + writes * costs["write"] + frames * costs["recipient"]


def talk_s(load: Load, costs: dict[str, float], wall_s: float) -> float:
    """What the loop spends on a message to some, who may ack it at once."""
    acks = acks_of(load) * costs["frame_ack"]
    told = told_s(load, costs, wall_s)
    if load.server == "durable":
        told += costs["commit_heard"]
    if load.server == "tls":
        writes = heard_of(load) - (acks_of(load) - notices_written(load, wall_s))
        told += (load.frames + acks_of(load)) * costs["tls_frame"] + writes * costs["tls_write"]
    settled = costs["settled"] if load.say == "talked" else 0.0
    said = costs["frame"] + costs["append"] + load.listeners * (costs["owed"] + settled)
    return load.frames * said + acks + told


def op_s(load: Load, costs: dict[str, float], wall_s: float = WALL_S) -> float:
    """What the loop spends on one operation of the load, wake-ups apart, where all of them take so long."""
    if load.say in ("told", "talked"):
        return talk_s(load, costs, wall_s)
    told = told_s(load, costs, wall_s)
    door = REFUSAL_S + {"expired": costs["verify_es256" if load.server == "es256" else "verify"]}.get(load.token, 0.0)
    match load.say:
        case "typing":
            return load.frames * costs["frame_typing"]
        case "presence":
            owed = load.listeners * (costs["write"] + load.sessions * costs["recipient"])
            tls = load.server == "tls"
            more = costs["tls_frame"] + load.listeners * costs["tls_write"] if tls else 0.0
            # What more sessions cost without anybody in them is none of the costs.
            own = costs["frame_presence"] + (load.sessions - 1) * 1e-6
            return own + owed + more + (costs["flush"] if load.listeners > 1 else 0.0)
        case "heartbeat":
            return load.frames * costs["frame_heartbeat"] + told
        case "join":
            return costs["frame_status"] + told
        case "again":
            return load.frames * costs["frame"] + told
        case "said":
            heard = costs["commit_heard"] if load.server == "durable" else 0.0
            return load.frames * (costs["frame"] + costs["append"] + heard) + told
        case "acked":
            return load.frames * (costs["frame_ack"] + load.settles * costs["settled"]) + told
        case "refused":
            return door + (costs["tls_handshake"] if load.server == "tls" else 0.0)
        case "let in":
            return costs["handshake"] + costs["verify"] + told + 2 * costs["wake"]
        case "pings":
            return costs["ping"]
        case _:
            return 0.0


def coldness(slept_s: float, after_s: float) -> float:
    """How cold something is after so many seconds of sleep, from 0 to 1."""
    return float(-np.expm1(-slept_s / after_s))


def seen(
    load: Load, costs: dict[str, float], generator: np.random.Generator, noise: float, cv: float, level: float = 0.0
) -> Seen:
    """One load, all of whose costs are `noise` off in the mean, and whose operations vary by `cv`. With a `level` it
    keeps the server so busy, and what is planted as `cold` counts (`cold_after`: s)."""
    ops = 0 if load.say == "nothing" else ops_of(load)
    factor = 1 + noise * generator.standard_normal()
    sigma = np.sqrt(np.log1p(cv**2))
    times = factor * generator.lognormal(-(sigma**2) / 2, sigma, ops)
    # A clump wakes the loop once for many frames; a door's wake-ups are part of what it costs.
    doors, waits = load.say in ("refused", "let in"), load.server == "durable" and load.say == "said"
    # A pong wakes it as well as its ping, and so does the log.
    wakes = 0 if doors or not ops else 2 * ops if load.say == "pings" or waits else ops
    woken = wakes - ops if load.say == "pings" else wakes
    wall_s = ops * load.gap_s if load.name in KEPT else WALL_S if ops else 0.1
    each = op_s(load, costs) * times
    loop_s = float(each.sum()) + woken * costs["wake"] + IDLE * wall_s
    cold_s, cold_after_s = costs.get("cold", 0.0), costs.get("cold_after", 1.0)
    if level and wakes:
        wall_s = max(wall_s, loop_s / level) if load.name in KEPT else loop_s / level
    answered_s = ANSWER_S
    # What it sleeps depends on what it spends, and that on what it sleeps.
    for _ in range(50 if wakes else 0):
        each = op_s(load, costs, wall_s if level else WALL_S) * times
        slept_s = [answered_s, wall_s / ops - answered_s] if waits else [(wall_s - loop_s) / wakes]
        cold = sum(coldness(one_s, cold_after_s) for one_s in slept_s)
        answered_s = ANSWER_S + cold_s * cold
        if waits:
            answered_s += costs["wake"] + costs["commit_heard"] + costs["commit"] + costs["commit_record"]
            answered_s += costs["commit_cold"] * coldness(slept_s[1], COMMIT_COLD_AFTER_S)
        loop_s = float(each.sum()) + woken * costs["wake"] + IDLE * wall_s
        loop_s += (ops if waits else woken) * cold_s * cold
    if load.say == "let in":
        loop_s += 2 * ops * cold_s
    log_s = ops * (COMMIT_CPU_S + costs["commit_record"] * load.frames) if load.server == "durable" else 0.0
    return Seen(
        ops=ops,
        frames=round((load.frames + acks_of(load)) * ops),
        heard=round(heard_of(load) * ops),
        wall_s=wall_s,
        cpu_s=loop_s + log_s,
        loop_s=loop_s,
        wakes=wakes,
        level=level,
        each_s=tuple((each + (0.0 if doors else costs["wake"])).tolist()),
        answered_s=(answered_s,) * ops if load.timed else (),
        alone_s=(answered_s,) * ops if load.timed else (),
    )


def measured(
    rounds: int = 6,
    noise: float = 0.0,
    cv: float = 0.2,
    costs: dict[str, float] | None = None,
    seed: int = 11,
    levels: tuple[float, ...] = (0.0,),
) -> Measured:
    """A whole calibration, whose rounds have these levels by turns."""
    generator = np.random.default_rng(seed)
    said = COSTS_S | (costs or {})
    return Measured(
        rounds=[
            {load.name: seen(load, said, generator, noise, cv, levels[number % len(levels)]) for load in LOADS}
            for number in range(rounds)
        ],
        collections=[Collection(0, 0.004), Collection(1, 0.008)],
        churned=40_000,
        collected_at=[15_000, 35_000],
        memory={"plain": [Grown(100, 900_000), Grown(100, 1_000_000), Grown(100, 1_100_000)]},
        reference_s=[0.010] * (rounds + 2),
    )
