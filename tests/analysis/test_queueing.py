"""Formulas of queueing theory, held to known oracles: closed forms, tables, and a queue that is played."""

from __future__ import annotations

from math import exp, inf

import numpy as np
import pytest

from chatsim.analysis.queueing import erlang_b, erlang_c, mean_wait_s, staffing, wait_quantile_s
from chatsim.errors import UsageError


def test_exponential_service_gives_the_wait_of_m_m_1() -> None:
    # rho / (mu - lambda) at lambda 0.7, mu 1.
    assert mean_wait_s(0.7, 1.0, 2.0) == pytest.approx(0.7 / 0.3)


def test_constant_service_waits_half_as_long() -> None:
    assert mean_wait_s(0.7, 1.0, 1.0) == pytest.approx(0.5 * mean_wait_s(0.7, 1.0, 2.0))


def test_beyond_saturation_the_wait_is_infinite() -> None:
    assert mean_wait_s(1.0, 1.0, 2.0) == inf
    assert wait_quantile_s(0.99, 2.0, 1.0, 2.0) == inf


def test_the_quantile_of_m_m_1_is_exact() -> None:
    found = wait_quantile_s(0.99, 0.7, 1.0, 2.0)
    assert 0.7 * exp(-(1 - 0.7) * found) == pytest.approx(0.01)


def test_who_mostly_finds_nobody_waits_for_nothing() -> None:
    assert wait_quantile_s(0.5, 0.3, 1.0, 2.0) == 0.0


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5])
def test_a_quantile_is_a_share(share: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        wait_quantile_s(share, 0.5, 1.0, 2.0)


def test_the_quantile_is_near_that_of_a_queue_that_is_played() -> None:
    """Lognormal service at rho 0.9: the tail is the heavy-traffic limit's, within 15 % over 400,000 customers."""
    dice = np.random.default_rng(3)
    n, busy = 400_000, 0.9
    service = dice.lognormal(0.0, 0.5, n)
    gaps = dice.exponential(service.mean() / busy, n)
    wait, waits = 0.0, np.empty(n)
    for place, (gap, work) in enumerate(zip(gaps.tolist(), service.tolist(), strict=True)):
        waits[place] = wait
        wait = max(0.0, wait + work - gap)
    rate = 1 / gaps.mean()
    said = wait_quantile_s(0.99, rate, service.mean(), float((service**2).mean()))
    assert said == pytest.approx(float(np.quantile(waits[10_000:], 0.99)), rel=0.15)


@pytest.mark.parametrize(
    ("servers", "load", "lost"),
    [(1, 1.0, 0.5), (2, 1.0, 0.2), (5, 3.0, 0.11005), (10, 7.0, 0.07874)],
)
def test_erlang_b_is_that_of_the_tables(servers: int, load: float, lost: float) -> None:
    assert erlang_b(servers, load) == pytest.approx(lost, rel=1e-3)


def test_erlang_c_of_one_server_is_its_load() -> None:
    assert erlang_c(1, 0.7) == pytest.approx(0.7)


def test_erlang_c_of_two_servers_is_the_closed_form() -> None:
    # a^2 / (2 + a) at a = 1: 1/3.
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert erlang_c(2, 2.0) == 1.0


@pytest.mark.parametrize("load", [50.0, 200.0, 1000.0])
@pytest.mark.parametrize("waiting", [0.05, 0.2, 0.5])
def test_staffing_is_the_least_that_erlang_c_allows_give_or_take_one(load: float, waiting: float) -> None:
    servers = staffing(load, waiting)
    assert erlang_c(servers + 1, load) <= waiting
    assert erlang_c(servers - 2, load) > waiting


def test_nobody_needs_one_server_all_the_same() -> None:
    assert staffing(0.0, 0.2) == 1


@pytest.mark.parametrize("waiting", [0.0, 1.0])
def test_a_share_that_waits_is_a_share(waiting: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        staffing(10.0, waiting)
