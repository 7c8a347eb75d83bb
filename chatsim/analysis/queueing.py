"""What queueing theory says of a node and of a fleet, to stand beside what is simulated.

Rule: each formula names its source and what it takes for granted; beyond saturation the answer is infinity and never
an error. Rates are per second, durations in seconds, loads in Erlang (seconds of work a second).
"""

from __future__ import annotations

from math import ceil, exp, inf, log, pi, sqrt

from scipy import optimize, stats

from chatsim.errors import UsageError


def mean_wait_s(rate_per_s: float, mean_s: float, second_moment_s2: float) -> float:
    """The mean wait in an M/G/1 queue: rate E[S^2] / (2 (1 - rho)), inf at rho >= 1.

    Pollaczek 1930, Khinchine 1932; Poisson arrivals, one server, first come, first served.
    """
    busy = rate_per_s * mean_s
    return inf if busy >= 1 else rate_per_s * second_moment_s2 / (2 * (1 - busy))


def wait_quantile_s(share: float, rate_per_s: float, mean_s: float, second_moment_s2: float) -> float:
    """The wait that this share of the customers of an M/G/1 queue does not exceed, inf at rho >= 1.

    By the exponential tail P(W > t) = rho exp(-rho t / E[W]), which is exact for M/M/1 and the heavy-traffic limit of
    all others (Kingman, 1961). Raises UsageError for a share outside of (0, 1).
    """
    if not 0 < share < 1:
        raise UsageError(f"A quantile of {share} is none: give a share between 0 and 1.")
    busy = rate_per_s * mean_s
    if busy >= 1:
        return inf
    if busy <= 1 - share:
        return 0.0
    return mean_wait_s(rate_per_s, mean_s, second_moment_s2) / busy * log(busy / (1 - share))


def erlang_b(servers: int, load: float) -> float:
    """The share of customers that find all servers busy and go away: M/G/s/s, by the recursion in s (Erlang, 1917)."""
    found = 1.0
    for s in range(1, servers + 1):
        found = load * found / (s + load * found)
    return found


def erlang_c(servers: int, load: float) -> float:
    """The share of customers that wait: M/M/s (Erlang, 1917); 1 where the load is no less than the servers."""
    if load >= servers:
        return 1.0
    lost = erlang_b(servers, load)
    return servers * lost / (servers - load * (1 - lost))


def staffing(load: float, waiting: float) -> int:
    """How many servers leave no more than this share `waiting`, where all serve one queue: load + beta sqrt(load).

    Halfin and Whitt (Operations Research 29, 1981): waiting = 1 / (1 + beta Phi(beta) / phi(beta)). At least 1.
    Raises UsageError for a share outside of (0, 1).
    """
    if not 0 < waiting < 1:
        raise UsageError(f"A share of {waiting} that waits is none: give one between 0 and 1.")
    beta = float(optimize.brentq(lambda b: _waiting(b) - waiting, 1e-9, 40.0))
    return max(1, ceil(load + beta * sqrt(load)))


def _waiting(beta: float) -> float:
    density = exp(-beta * beta / 2) / sqrt(2 * pi)
    return 1 / (1 + beta * float(stats.norm.cdf(beta)) / density) if density else 0.0
