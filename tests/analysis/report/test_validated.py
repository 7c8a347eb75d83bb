"""The report says what came of it, and stands alone."""

from __future__ import annotations

import msgspec
import numpy as np

from chatsim.analysis.report.validated import COLUMNS, Shown, page, sentence, table, wrong
from chatsim.analysis.validation import Judged, judged
from tests.analysis.test_validation import sides


def pair(name: str, factor: float, **counts: tuple[int, int]) -> Judged:
    live, simulated = sides(3, factor, between=0.02)
    return judged(name, 0.5, live, simulated, counts=counts)


def shown(**more: str) -> Shown:
    live, simulated = sides(3, 1.0)
    return Shown(
        pairs=[pair("fives", 1.0), pair("<slow>", 1.6, sent=(10, 11))],
        sights={"fives": (live, simulated)},
        unjudged=more,
        controls={"costs x 1.5 (fives)": True, "no retry (fives)": False},
        machine={"cpu": "a processor", "cores": 2},
        notes=["One way takes 60 us."],
    )


def test_a_row_for_each_number() -> None:
    found = table(shown().pairs)
    assert tuple(found.columns) == COLUMNS
    assert len(found) == 14
    assert found[found.pair == "fives"].equivalent.all()
    assert set(found[found.pair == "<slow>"].counts_differ) == {"sent:10/11"}


def test_what_is_wrong_is_said_by_name() -> None:
    said = wrong(pair("slow", 1.6, sent=(10, 11)))
    assert any("slow: utilisation live over simulated is 1.6" in line for line in said)
    assert said[-1] == "slow: sent was 10 live and 11 expected"
    assert wrong(pair("fives", 1.0)) == []


def test_the_page_stands_alone_and_is_the_same_twice() -> None:
    made = page(shown())
    assert made == page(shown())
    assert "1 of 2 pairs are equivalent" in made
    assert "&lt;slow&gt;" in made
    assert "<slow>" not in made
    assert made.count("<svg") == 2
    assert "missed" in made
    assert "http" not in made.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_what_could_not_be_judged_is_no_reach_and_hides_nothing() -> None:
    good = msgspec.structs.replace(shown(), pairs=[pair("fives", 1.0)], controls={"costs x 1.5 (fives)": True})
    assert good.verdict == "pass"
    busy = msgspec.structs.replace(good, unjudged={"pairs": "the machine was too busy"})
    assert busy.verdict == "inconclusive"
    assert "1 could not be judged" in sentence(busy)
    assert "INCONCLUSIVE" in page(busy)
    assert shown(busy="the machine was too busy").verdict == "fail", "a control was missed, whatever came of that pair"
    broken = msgspec.structs.replace(good, broken={"pairs": "invariants do not hold: seq"})
    assert broken.verdict == "fail"
    assert "Invariants did not hold in 1" in sentence(broken)
    assert "invariants do not hold: seq" in page(broken)


def test_some_of_the_pairs_are_not_all_of_them() -> None:
    made = msgspec.structs.replace(shown(), there_are=25)
    assert sentence(made).startswith("Of 25 pairs 2 were played. 1 of 2 pairs are equivalent")
    assert not sentence(msgspec.structs.replace(shown(), there_are=2)).startswith("Of 2")


def test_a_latency_of_which_there_was_too_little_is_named() -> None:
    live, simulated = sides(3, 1.0)
    few = [msgspec.structs.replace(one, latencies=one.latencies | {"ack_latency": np.zeros(3)}) for one in live]
    made = judged("quiet", 0.5, few, simulated)
    assert made.unseen == ["ack_latency"]
    assert wrong(made) == ["quiet: ack_latency has too few samples to be judged"]
