"""A file stands for the run that it was made of, and for no other; what is damaged is as good as not there."""

from __future__ import annotations

from math import inf, isnan, nan
from pathlib import Path

import msgspec
import pytest

from chatsim.analysis.numbers import Replication
from chatsim.errors import HarnessError, UsageError
from chatsim.runner.kept import Kept, code_digest, key_of
from tests.sim.worlds import scenario

FOUND = Replication(2, 77, {"a_s": 0.1 + 0.2, "b": nan, "c_s": inf, "d": 3.0}, [0.5, inf])


def test_what_is_kept_comes_back_to_the_last_digit(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "deep" / "er")
    assert kept.find("k", 2) is None
    kept.keep("k", FOUND, {"point": {"users": "4"}})
    found = Kept(tmp_path / "deep" / "er").find("k", 2)
    assert found is not None
    assert isnan(found.numbers.pop("b"))
    assert found == msgspec.structs.replace(FOUND, numbers={"a_s": 0.1 + 0.2, "c_s": inf, "d": 3.0})
    assert [path.name for path in kept.folder.iterdir()] == ["k.json"]
    assert kept.damaged == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_file_that_was_cut_off_is_damaged(share: float, tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep("k", FOUND, {})
    path = tmp_path / "k.json"
    whole = path.read_bytes().rstrip()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert kept.find("k", 2) is None
    assert kept.damaged == [path]


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"run": {}, "digest": 1}', "\x00\x01", '{"run": 5}', "[" * 100_000, '{"digest": {}}']
)
def test_whatever_stands_there_is_no_failure(text: str, tmp_path: Path) -> None:
    (tmp_path / "k.json").write_text(text, encoding="utf-8")
    kept = Kept(tmp_path)
    assert kept.find("k", 0) is None
    assert len(kept.damaged) == 1


def test_a_digit_that_was_changed_is_noticed(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep("k", FOUND, {})
    path = tmp_path / "k.json"
    path.write_text(path.read_text(encoding="utf-8").replace("0.5", "0.4"), encoding="utf-8")
    assert kept.find("k", 2) is None


def test_the_key_is_of_what_is_played_and_not_of_how_it_is_said() -> None:
    one = scenario(duration="60s")
    same = scenario(duration="1min", description="another", tags=["x"], live={"time_scale": 0.5})
    assert key_of(one, "sim") == key_of(same, "sim") == key_of(scenario(duration="60s"), "sim")
    others = [
        key_of(one, "virtual"),
        key_of(one.with_seed(2), "sim"),
        key_of(one.with_(duration="61s"), "sim"),
        key_of(one.with_(users=6), "sim"),
        key_of(one.with_({"handler.rate_limit": "30/min"}), "sim"),
        key_of(one.with_(expect=["lost <= 1"]), "sim"),
        key_of(scenario({"at": "1s", "do": "drop", "count": 1}, duration="60s"), "sim"),
    ]
    assert len({key_of(one, "sim"), *others}) == len(others) + 1


def test_the_contents_of_a_file_that_is_named_count(tmp_path: Path) -> None:
    path = tmp_path / "moments.csv"
    keys = []
    for moments in ("1\n2\n", "1\n3\n"):
        path.write_text(moments, encoding="utf-8")
        keys.append(key_of(scenario(group={"messages": {"arrivals": "trace", "file": f"{path}"}}), "sim"))
    assert keys[0] != keys[1]


def test_other_code_is_never_taken_for_this() -> None:
    assert len(code_digest()) == 32
    assert code_digest() == code_digest()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="name another folder"):
        Kept(tmp_path / "file")
    (tmp_path / "k.json").mkdir()
    with pytest.raises(UsageError, match="cannot read"):
        Kept(tmp_path).find("k", 0)
    with pytest.raises(HarnessError, match="writing"):
        Kept(tmp_path).keep("k", FOUND, {})
