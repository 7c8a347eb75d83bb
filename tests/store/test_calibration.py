"""The file of a calibration is read as it was written, and nothing else is read."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from chatsim.errors import UsageError
from chatsim.store.calibration import (
    Calibration,
    Estimate,
    Fit,
    LineFit,
    Reference,
    connection_bytes,
    read,
    schema,
    write,
)

MADE = Calibration(
    chatsim="0.1.0",
    made_at="2026-01-02",
    quick=True,
    journal=False,
    rounds=3,
    levels=[0.2, 0.5],
    machine={"cpu": "a processor", "cores": 2},
    versions={"uvloop": "1"},
    reference=Reference(median_s=0.0105, all_s=[0.01, 0.011], drift=1.1),
    costs={"frame": "20us", "ping": {"lognormal": {"mean": "8us", "cv": 0.4}}},
    measured={
        "frame": Estimate(
            says="one frame",
            unit="s",
            value=20e-6,
            low=19e-6,
            high=22e-6,
            n=3,
            fit=Fit(family="gamma", cv=0.2, distance=0.01, samples=100, distances={"gamma": 0.01}),
        )
    },
    fits={
        "batch": LineFit(says="a turn", intercept_s=1e-6, slope_s=2e-6, r2=0.99, worst=0.1, points=[(1.0, 3e-6)]),
    },
    warnings=["busy"],
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write(path, MADE)
    assert read(path) == MADE
    assert [one.name for one in tmp_path.iterdir()] == ["calibration.json"]


def test_the_schema_takes_what_is_written_and_refuses_another_version(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write(path, MADE)
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.validate(document, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"version": 2}, schema())


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name another file with -o"):
        write(tmp_path / "no such folder" / "calibration.json", MADE)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "calibrate again"),
        ("{}", "missing required field"),
        (json.dumps(msgspec.to_builtins(MADE) | {"version": 2}), "calibrate again"),
    ],
)
def test_what_is_no_calibration(text: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=hint):
        read(path)
    with pytest.raises(UsageError, match="name a file that calibrate wrote"):
        read(tmp_path / "none.json")


def test_the_memory_of_a_connection_is_known_where_it_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    quiet = Estimate(says="a quiet connection", unit="bytes", value=9000.0, low=8000.0, high=9500.0, n=3)
    write(path, msgspec.structs.replace(MADE, measured=MADE.measured | {"memory_tls": quiet}))
    assert connection_bytes(path, tls=True) == 9000.0
    assert connection_bytes(path, tls=False) is None


@pytest.mark.parametrize("text", ["frame: 20us\n", "{}", '{"measured": 3}', '{"measured": {"memory_tls": {}}}'])
def test_costs_without_such_a_measurement_have_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "costs.yaml"
    path.write_text(text, encoding="utf-8")
    assert connection_bytes(path, tls=True) is None
    assert connection_bytes(tmp_path / "none.json", tls=True) is None
