"""Named random streams: which numbers a purpose and an entity get, whatever else is drawn and in whatever order.

Rule: a number depends on (master seed, replication, stream name, entity, position) alone, so two scenarios that
differ in one thing share all other luck (common random numbers). Blocks are stateless: Philox is counter based, so one
shared bit generator is re-keyed for each block, which costs a fraction of a new generator.
What the numbers mean is left to the distributions.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

BLOCK = 64
"""Numbers drawn at once by default: it shares the price of re-keying, and wastes little on streams hardly used."""

_BUFFER = (0, 0, 0, 0)
_BLOCKS, _SETUP = 0, 1


class Distribution(Protocol):
    """What a stream draws from: anything that samples float64 arrays."""

    @property
    def is_constant(self) -> bool:
        """Whether every sample is `mean`, so that nothing needs to be drawn."""

    @property
    def mean(self) -> float:
        """The mean of the samples."""

    def sample(self, generator: np.random.Generator, n: int) -> FloatArray:
        """`n` samples, float64."""


class _Uniform:
    """The uniform distribution on [0, 1)."""

    is_constant = False
    mean = 0.5

    def sample(self, generator: np.random.Generator, n: int) -> FloatArray:
        return generator.random(n)


UNIFORM: Distribution = _Uniform()
"""Uniform on [0, 1): for decisions by probability, such as loss."""


_NOTHING_LEFT: list[float] = []
"""What every stream has before its first block; it is replaced, never filled."""


class Draws:
    """One stream of one entity, drawn a block at a time.

    `constant` is the value of every draw where the distribution is constant, else None: such a stream never draws.
    """

    __slots__ = ("_block", "_distribution", "_entity", "_key", "_left", "_size", "_streams", "constant")

    def __init__(self, streams: Streams, key: int, entity: int, distribution: Distribution, size: int) -> None:
        assert size > 0
        self.constant: float | None = distribution.mean if distribution.is_constant else None
        self._streams = streams
        self._key = key
        self._entity = entity
        self._distribution = distribution
        self._size = size
        self._block = 0
        self._left = _NOTHING_LEFT

    def next(self) -> float:
        """The next number of the stream."""
        try:
            return self._left.pop()
        except IndexError:
            return self._refill()

    def _refill(self) -> float:
        if self.constant is not None:
            self._left = [self.constant] * self._size
        else:
            generator = self._streams.rekeyed(self._key, self._entity, self._block)
            self._left = self._distribution.sample(generator, self._size)[::-1].tolist()
            self._block += 1
        return self._left.pop()


class Streams:
    """All random streams of one replication of one run."""

    __slots__ = ("_bits", "_constants", "_head", "_keys", "_shared", "_state", "replication", "seed")

    def __init__(self, seed: int, replication: int = 0) -> None:
        self.seed = seed
        self.replication = replication
        self._head = f"{seed}/{replication}/".encode()
        self._keys: dict[str, int] = {}
        self._constants: dict[float, Draws] = {}
        bits = np.random.Philox(key=0)
        self._shared = np.random.Generator(bits)
        # The stub of numpy wants arrays in a state; tuples are taken too, and are read faster.
        self._bits: Any = bits
        self._state: dict[str, Any] = {
            "bit_generator": "Philox",
            "state": {"counter": [0, 0, 0, 0], "key": [0, 0]},
            "buffer": _BUFFER,
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }

    def generator(self, name: str, entity: int = 0) -> np.random.Generator:
        """A generator of its own for the stream `name` of `entity`: for setup work that draws arrays.

        Asked twice it starts twice at the same number; it shares none with the `draws` of the same name.
        """
        assert entity >= 0
        words = np.array([self._key(name), entity], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=words, counter=np.array([0, 0, 0, _SETUP], dtype=np.uint64)))

    def draws(self, name: str, entity: int, distribution: Distribution, block: int = BLOCK) -> Draws:
        """The stream `name` of `entity` (0 or more) as single draws of `distribution`, prefetched by the `block`.

        The block size is part of the stream: another one gives other numbers after the first block.
        """
        assert entity >= 0
        if not distribution.is_constant:
            return Draws(self, self._key(name), entity, distribution, block)
        # What never draws is the same for everybody, and a run may have two links for each of 100,000 people.
        shared = self._constants.get(distribution.mean)
        if shared is None:
            shared = self._constants[distribution.mean] = Draws(self, 0, 0, distribution, block)
        return shared

    def borrowed(self, name: str, entity: int = 0) -> np.random.Generator:
        """The same numbers as `generator`, out of the shared generator: ten times cheaper, good until the next call."""
        assert entity >= 0
        return self.rekeyed(self._key(name), entity, 0, _SETUP)

    def rekeyed(self, key: int, entity: int, block: int, use: int = _BLOCKS) -> np.random.Generator:
        """The shared generator, set to the start of one block; good until the next call.

        The low counter word runs within the block, so each block has 2**64 steps before it could touch the next.
        """
        self._state["state"] = {"counter": (0, block, 0, use), "key": (key, entity)}
        self._bits.state = self._state
        return self._shared

    def _key(self, name: str) -> int:
        key = self._keys.get(name)
        if key is None:
            key = int.from_bytes(blake2b(self._head + name.encode(), digest_size=8).digest(), "little")
            self._keys[name] = key
        return key
