"""Streams: a number depends on seed, replication, name, entity and position, and on nothing else."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chatsim.people.streams import UNIFORM, Draws, Streams
from chatsim.scenario.distributions import Constant, Exponential, Normal

NAMES = ("latency", "loss", "think")
TURNS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3)), max_size=300)


def first(draws: Draws, n: int) -> list[float]:
    return [draws.next() for _ in range(n)]


@given(TURNS, st.integers(0, 2**32), st.integers(0, 100))
def test_interleaving_changes_no_number(turns: list[tuple[str, int]], seed: int, replication: int) -> None:
    shared = Streams(seed, replication)
    open_streams = {
        (name, entity): shared.draws(name, entity, UNIFORM, block=4) for name in NAMES for entity in range(4)
    }
    taken: dict[tuple[str, int], list[float]] = {key: [] for key in open_streams}
    for key in turns:
        taken[key].append(open_streams[key].next())
    for (name, entity), numbers in taken.items():
        alone = Streams(seed, replication).draws(name, entity, UNIFORM, block=4)
        assert numbers == first(alone, len(numbers))


def test_rejection_sampling_keeps_to_its_own_block() -> None:
    cut = Normal(centre=1.0, sd=0.9)
    streams = Streams(5)
    one, other = streams.draws("a", 0, cut), streams.draws("b", 0, cut)
    mixed = [(one.next(), other.next()) for _ in range(1000)]
    assert [pair[0] for pair in mixed] == first(Streams(5).draws("a", 0, cut), 1000)


def test_seed_replication_name_and_entity_each_make_another_stream() -> None:
    starts = [
        Streams(seed, replication).draws(name, entity, UNIFORM).next()
        for seed in (1, 2)
        for replication in (0, 1)
        for name in ("a", "b")
        for entity in (0, 1, 2**40)
    ]
    assert len(set(starts)) == len(starts)


def test_seed_and_replication_do_not_run_together() -> None:
    assert Streams(1, 12).generator("x").random() != Streams(11, 2).generator("x").random()


def test_blocks_do_not_repeat() -> None:
    numbers = first(Streams(1).draws("a", 0, UNIFORM, block=8), 4000)
    assert len(set(numbers)) == 4000


def test_generator_starts_alike_and_shares_nothing_with_the_draws() -> None:
    streams = Streams(3)
    setup = streams.generator("a", 7).random(64)
    streams.draws("b", 1, UNIFORM).next()
    assert np.array_equal(setup, streams.generator("a", 7).random(64))
    assert not set(setup.tolist()) & set(first(streams.draws("a", 7, UNIFORM), 200))


def test_borrowed_is_the_generator_by_another_way() -> None:
    streams = Streams(3)
    for name, entity in (("a", 0), ("b", 2**40), ("a", 7)):
        streams.draws("c", 1, UNIFORM).next()
        lent = streams.borrowed(name, entity).standard_exponential(100)
        assert np.array_equal(lent, streams.generator(name, entity).standard_exponential(100))


def test_a_generator_is_not_disturbed_by_draws() -> None:
    streams = Streams(3)
    generator = streams.generator("a")
    head = generator.random(3)
    streams.draws("b", 0, UNIFORM).next()
    whole = np.concatenate((head, generator.random(3)))
    assert np.array_equal(whole, Streams(3).generator("a").random(6))


def test_constants_are_told_and_never_drawn() -> None:
    draws = Streams(1).draws("a", 0, Constant(value=0.25, shift=0.5))
    assert draws.constant == 0.75
    assert set(first(draws, 200)) == {0.75}
    assert Streams(1).draws("a", 0, UNIFORM).constant is None


def test_numbers_follow_the_distribution() -> None:
    """Kolmogorov-Smirnov against the uniform and the exponential law.

    Over entities (first draws) and along one stream; the limit of 2.0 on sqrt(n) * D has a false alarm rate of
    2 * exp(-2 * 2.0**2) = 0.07 % for each of the four, and the seed is fixed, so it is drawn once and for all.
    """
    n = 4000
    streams = Streams(20)
    for law in (UNIFORM, Exponential(scale=2.0)):
        across = [streams.draws("ks", entity, law).next() for entity in range(n)]
        along = first(streams.draws("ks along", 0, law), n)
        for numbers in (across, along):
            ordered = np.sort(np.array(numbers))
            height = ordered if law is UNIFORM else 1.0 - np.exp(-ordered / 2.0)
            steps = np.arange(n + 1) / n
            distance = max(np.max(steps[1:] - height), np.max(height - steps[:-1]))
            assert np.sqrt(n) * distance < 2.0


def test_streams_of_neighbours_are_uncorrelated() -> None:
    """Correlation of two streams of 4096; 4 standard errors, a false alarm rate of 0.006 % each, seed fixed."""
    streams = Streams(9)
    rows = np.array([first(streams.draws("a", entity, UNIFORM), 4096) for entity in range(4)])
    correlations = np.corrcoef(rows)[np.triu_indices(4, 1)]
    assert np.all(np.abs(correlations) < 4 / np.sqrt(4096))


def test_hash_seed_of_python_changes_nothing() -> None:
    code = "from chatsim.people.streams import *; print(Streams(1).draws('latency', 3, UNIFORM).next())"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{Streams(1).draws('latency', 3, UNIFORM).next()}\n"}
