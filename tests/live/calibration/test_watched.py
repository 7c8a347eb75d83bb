"""Collections are written down as they end, and read again."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from chatsim.errors import HarnessError
from chatsim.live.calibration.seen import Collection
from chatsim.live.calibration.watched import ear, read


def test_what_the_collector_does_is_written_and_read(tmp_path: Path) -> None:
    lines: list[str] = []
    moments = iter([1.0, 1.5, 2.0, 2.25])
    heard = ear(lines.append, clock=lambda: next(moments))
    for generation in (0, 2):
        heard("start", {"generation": generation})
        heard("stop", {"generation": generation})
    file = tmp_path / "collections"
    file.write_text("".join(lines) + "1 0.")
    assert read(file) == [Collection(0, 0.5), Collection(2, 0.25)]


def test_the_collector_calls_it() -> None:
    lines: list[str] = []
    heard = ear(lines.append)
    gc.callbacks.append(heard)
    try:
        gc.collect(1)
    finally:
        gc.callbacks.remove(heard)
    generation, took_s = lines[-1].split()
    assert generation == "1"
    assert float(took_s) >= 0


@pytest.mark.parametrize("text", ["a b\n", "1\n", "1 2 3\n"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "collections"
    file.write_text(text)
    with pytest.raises(HarnessError, match="holds no collections"):
        read(file)
    with pytest.raises(HarnessError, match="holds no collections"):
        read(tmp_path / "none")
