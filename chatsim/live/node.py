"""The real server as a child process: started, watched, stopped.

Decides how it is told what to do (flags and files) and how it ends: asked first, killed as a last resort, and by itself
where whoever started it is there no more.
Rule: the child is the very command that people run, so what is measured is what is shipped. What it does is its own
affair.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import msgspec

from chatsim.core.config import HandlerConfig
from chatsim.errors import HarnessError
from chatsim.live.tls import Files
from chatsim.scenario.handler import WINDOWED, kind, words
from chatsim.scenario.units import WINDOWS

START_S_MAX = 30.0
STOP_S_MAX = 35.0
"""The server stops hard after 30 s (protocol.md, section 3); this is a little longer."""

KILLED = -signal.SIGKILL
"""The exit code of a process that was killed."""

PROGRAM = (sys.executable, "-m", "chatsim")
_LISTENING = b"listening on "


def config_words(config: HandlerConfig) -> dict[str, object]:
    """The words of `handler:` that give this configuration; those at their default are left out."""
    plain = HandlerConfig()
    said: dict[str, object] = {}
    names = {seconds: name for name, seconds in WINDOWS.items()}
    for word, field in words().items():
        value = getattr(config, field)
        if field in WINDOWED:
            window = WINDOWED[field]
            if (value, getattr(config, window)) != (getattr(plain, field), getattr(plain, window)):
                said[word] = f"{value}/{names[getattr(config, window)]}"
        elif value != getattr(plain, field):
            said[word] = _said(kind(field), value)
    return said


def _said(kind_: str, value: Any) -> object:
    if kind_ in ("duration", "rate", "size"):
        return f"{value!r}{ {'duration': 's', 'rate': '/s', 'size': 'B'}[kind_] }"
    return list(value) if isinstance(value, tuple) else value


class Node:
    """One server process. `url` is where it listens (`ws://` or `wss://`), `secret` signs its tokens, `admin_key`
    opens its admin routes (None: they stay shut). `data` is where it keeps what was said (None: in memory),
    `port` the one to listen on (0: a free one), `tls` its certificate and key (None: plain text).

    A context manager: leaving it stops the process, whatever happened.
    """

    def __init__(
        self,
        config: HandlerConfig,
        *,
        secret: bytes,
        journal: Path | None = None,
        log: Path,
        admin_key: bytes | None = None,
        data: Path | None = None,
        port: int = 0,
        tls: Files | None = None,
        time_scale: float = 1.0,
        clock_ahead_s: float | None = None,
        stalls: Path | None = None,
        speed: Path | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """Start it and wait until it listens; `log` is where its stderr goes. Raises HarnessError where it does not.

        `clock_ahead_s` lets its wall clock be set, and is how far it is ahead from the start; `stalls` is a new file
        for when the machine did not run it, `speed` one for how fast it was.
        """
        self._log = log
        self._stop_s_max = STOP_S_MAX * max(time_scale, 1.0)
        with tempfile.TemporaryDirectory(prefix="chatsim-node-") as name:
            folder = Path(name)
            _write_private(folder / "secret", secret)
            (folder / "handler.yaml").write_bytes(msgspec.json.encode(config_words(config)))
            flags = ["--held", "--host", "127.0.0.1", "--port", f"{port}", "--time-scale", repr(time_scale)]
            flags += ["--ephemeral"] if data is None else ["--data", f"{data}"]
            flags += ["--secret-file", f"{folder / 'secret'}", "--config", f"{folder / 'handler.yaml'}"]
            if journal is not None:
                flags += ["--journal", f"{journal}"]
            if clock_ahead_s is not None:
                flags += ["--clock-ahead", repr(clock_ahead_s)]
            if stalls is not None:
                flags += ["--stalls", f"{stalls}"]
            if speed is not None:
                flags += ["--speed", f"{speed}"]
            if admin_key is not None:
                _write_private(folder / "admin", admin_key)
                flags += ["--admin-key-file", f"{folder / 'admin'}"]
            if tls is not None:
                flags += ["--tls-cert", f"{tls.cert}", "--tls-key", f"{tls.key}"]
            with log.open("wb") as stderr:
                # Nothing is ever written to its stdin: that ends when this process does, whatever ends it.
                self._process = subprocess.Popen(
                    [*program, "serve", *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
                )
            try:
                self.url = self._listening()
            except BaseException:
                self.stop()
                raise

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind_: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def check(self) -> None:
        """Raises HarnessError, with the last line of its stderr, where the server is no longer there."""
        code = self._process.poll()
        if code is not None:
            raise HarnessError(f"The server ended with {code} while it was needed: {self._last_words()}")

    def cpu_s(self) -> float:
        """CPU time that its event loop has used so far (s): that of its first thread, which turns it, and not that of
        the log's. Where the system does not tell threads apart it is the whole process's."""
        process = Path(f"/proc/{self.pid}")
        with contextlib.suppress(OSError):
            # The first field of schedstat is time on a processor, in ns.
            return int((process / "task" / f"{self.pid}" / "schedstat").read_text().split()[0]) * 1e-9
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            # Without /proc only the time of children that have ended is known.
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime
        # Fields 14 and 15 of proc(5): user and system time, in clock ticks.
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile the system does not run it."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> int:
        """End it at once, as a crash does; returns its exit code, which is `KILLED` unless it had ended before."""
        self._process.kill()
        self._process.wait()
        return self.stop()

    def stop(self) -> int:
        """Ask it to end, wait, and kill it as a last resort; returns its exit code. Harmless when it has ended."""
        process = self._process
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(self._stop_s_max)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        return process.returncode

    def _listening(self) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        line = _line(stdout, time.monotonic() + START_S_MAX)
        if line.startswith(_LISTENING):
            return line[len(_LISTENING) :].decode().strip()
        if line:
            raise HarnessError(f"The server said {line[:200]!r} instead of where it listens: is it another program?")
        if self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        if self._process.poll() is None:
            raise HarnessError(f"The server did not say within {START_S_MAX:g} s that it listens: {self._last_words()}")
        raise HarnessError(f"The server ended with {self._process.returncode} at its start: {self._last_words()}")

    def _last_words(self) -> str:
        text = self._log.read_text(errors="replace").strip()
        return text.splitlines()[-1] if text else "it wrote nothing to stderr"


def _line(stdout: IO[bytes], until: float) -> bytes:
    """The first line of a pipe, or what there is of it at its end or at the moment `until` (CLOCK_MONOTONIC, s)."""
    found = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while not found.endswith(b"\n") and selector.select(max(0.0, until - time.monotonic())):
            piece = os.read(stdout.fileno(), 1)
            if not piece:
                break
            found += piece
    return found


def _write_private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
