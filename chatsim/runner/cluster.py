"""A Dask cluster to play on, by joblib's own backend.

Decides when a cluster may be used. Rule: all of its workers run this very code, so that what they find is what this
machine would find; who does not answer is given up in bounded time. Nothing is distributed by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from joblib import parallel_config

from chatsim.errors import HarnessError, UsageError
from chatsim.runner.kept import code_digest

CONNECT_S: Final = 10.0
"""How long the scheduler has to answer (s)."""

WORKERS_S: Final = 30.0
"""How long its first worker has to come (s)."""


@contextmanager
def cluster(
    address: str, *, connect_s: float = CONNECT_S, workers_s: float = WORKERS_S, digest: str = ""
) -> Iterator[None]:
    """Within it, joblib plays on the cluster of the scheduler at `address` (`tcp://HOST:PORT`).

    Raises UsageError where the address is none, Dask is not installed here, or a worker has other code; HarnessError
    where nobody answers. `digest` is that of the code which is wanted, this one's where it is empty.
    """
    try:
        from distributed import Client
    except ImportError as problem:
        raise UsageError("a cluster wants Dask: pip install 'chatsim[cluster]'") from problem
    if not address.rpartition(":")[2].isdecimal():
        raise UsageError(f"{address} is no address of a scheduler: write tcp://HOST:PORT")
    try:
        client = Client(address, timeout=connect_s, set_as_default=False)  # type: ignore[no-untyped-call]
    except (ValueError, TypeError) as problem:
        raise UsageError(f"{address} is no address of a scheduler ({problem}): write tcp://HOST:PORT") from problem
    except OSError as problem:
        raise HarnessError(
            f"no Dask scheduler answered at {address} within {connect_s:g} s: start one with `dask scheduler`, "
            "or say where it is"
        ) from problem
    with client:
        try:
            client.wait_for_workers(1, timeout=workers_s)
        except (TimeoutError, OSError) as problem:
            raise HarnessError(
                f"the Dask scheduler at {address} has no worker after {workers_s:g} s: start one with "
                f"`dask worker {address}`"
            ) from problem
        _check_code(client, address, digest or code_digest())
        with parallel_config("dask", client=client):
            yield


def _check_code(client: Any, address: str, wanted: str) -> None:
    """Raise UsageError where a worker would play something else."""
    try:
        digests = client.run(code_digest)
    except ImportError as problem:
        raise UsageError(f"workers of {address} have no chatsim: install this version there") from problem
    others = [worker for worker, digest in digests.items() if digest != wanted]
    if others:
        raise UsageError(
            f"{len(others)} of {len(digests)} workers of {address}, {others[0]} the first, have another chatsim or "
            "NumPy: install the same there"
        )
