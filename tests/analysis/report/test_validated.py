"""The report says what came of it, and stands alone."""

from __future__ import annotations

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


def test_what_could_not_be_judged_is_no_reach() -> None:
    made = shown(busy="the machine was too busy")
    assert not made.reached
    assert "1 could not be judged" in sentence(made)
    assert "INCONCLUSIVE" in page(made)
