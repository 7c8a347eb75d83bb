"""The handler's settings: every limit and every interval, with the defaults of the protocol.

Rule: the same words as in a scenario's `handler:`, durations in seconds with `_s` behind the name.
Reading units from text and refusing contradictions for a person is the scenario reader's task; `problems` says what
contradicts itself.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeAlias

import msgspec

Reliability: TypeAlias = Literal["hardened", "baseline"]
RateAlgorithm: TypeAlias = Literal["sliding", "fixed", "token_bucket"]

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
"""What can be pinned (protocol.md, section 1); HS256 wants a secret, the others a public key in PEM."""


class HandlerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one handler. Durations are seconds, sizes bytes; rates are a count and the window it holds for."""

    reliability: Reliability = "hardened"
    ping_interval_s: float = 30.0
    pong_timeout_s: float = 10.0
    stale_after_s: float = 300.0
    sweep_interval_s: float = 30.0
    retry_interval_s: float = 30.0
    retries: int = 3
    rate_limit: int = 60
    rate_window_s: float = 60.0
    rate_algorithm: RateAlgorithm = "sliding"
    frame_limit: int = 600
    frame_window_s: float = 60.0
    violation_limit: int = 10
    violation_window_s: float = 60.0
    message_bytes_max: int = 64 * 1024
    typing_interval_s: float = 3.0
    typing_lapse_s: float = 10.0
    presence_grace_s: float = 15.0
    dedupe_for_s: float = 300.0
    retention_s: float = 300.0
    retention_messages: int = 256
    retention_bytes: int = 1024 * 1024
    outbound_frames: int = 256
    outbound_bytes: int = 1024 * 1024
    connections_per_user: int = 20
    connections_max: int = 50_000
    accept_rate_per_s: float = 500.0
    resume_rate_per_s: float = 1000.0
    sessions_per_connection: int = 128
    sessions_max: int = 100_000
    sessions_per_user: int = 1000
    participants_max: int = 10_000
    revocations_max: int = 100_000
    history_for_s: float = 30 * 86_400.0
    history_messages: int = 1000
    history_messages_max: int = 100_000
    compression: bool = False
    token_warning_s: float = 60.0
    token_grace_s: float = 25.0
    drain_window_s: float = 25.0
    algorithms: tuple[str, ...] = ("HS256",)
    audience: str | None = None
    issuer: str | None = None
    origins: tuple[str, ...] = ()

    def problems(self, *, unknown: Collection[str] = ()) -> list[tuple[str, str]]:
        """Settings that contradict each other: pairs of a field and the sentence about it (none under `baseline`).

        Fields in `unknown` have no value to speak of, so nothing is said that depends on them.
        """
        if self.reliability == "baseline" or "reliability" in unknown:
            return []

        def known(*fields: str) -> bool:
            return not any(field in unknown for field in fields)

        found = []
        detection_s = self.ping_interval_s + self.pong_timeout_s
        detects = known("ping_interval_s", "pong_timeout_s")
        if detects and known("retention_s") and self.retention_s < detection_s + RECONNECT_S_MAX:
            found.append(
                (
                    "retention_s",
                    f"keeps messages for {self.retention_s:g} s, less than finding a dead peer ({detection_s:g} s) and "
                    f"coming back ({RECONNECT_S_MAX:g} s): raise retention, or lower ping_interval and pong_timeout",
                )
            )
        retries_s = self.retry_interval_s * (self.retries + 1)
        if detects and known("retry_interval_s", "retries") and detection_s > retries_s:
            found.append(
                (
                    "ping_interval_s",
                    f"ping interval plus pong timeout ({detection_s:g} s) outlast the retries ({retries_s:g} s), so "
                    "messages would be given up before a dead peer is found: "
                    "lower them, or raise retry_interval or retries",
                )
            )
        return found

    def scaled(self, time_scale: float) -> HandlerConfig:
        """The same rules played faster (`time_scale` under 1) or slower: durations multiplied, rates divided by it."""
        changes = {}
        for field in self.__struct_fields__:
            if field.endswith("_per_s"):
                changes[field] = getattr(self, field) / time_scale
            elif field.endswith("_s"):
                changes[field] = getattr(self, field) * time_scale
        return msgspec.structs.replace(self, **changes)


RECONNECT_S_MAX = 30.0
"""The longest wait of a client's backoff (protocol.md, section 3)."""
