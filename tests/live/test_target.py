"""Which address may be put under load, and which scenario cannot be played there."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from chatsim.core.tokens import Minter
from chatsim.errors import NotApplicableError, UsageError
from chatsim.live.target import target
from chatsim.live.tls import self_signed
from chatsim.scenario.model import Scenario

MINTER = Minter(b"0123456789abcdef0123456789abcdef", "HS256")


def scenario(events: list[dict[str, Any]] | None = None, **words: Any) -> Scenario:
    group = {"name": "people", "users": 2, "credentials": words.pop("credentials", "good")}
    made = {"name": "x", "duration": "1min", "groups": [group], "expect": ["lost == 0"], "events": events or []}
    return Scenario.of(made | words)


@pytest.mark.parametrize(
    ("address", "url", "shown"),
    [
        ("wss://chat.example/ws", "wss://chat.example:443/ws", "wss://chat.example/ws"),
        ("ws://127.0.0.1:8765/ws", "ws://127.0.0.1:8765/ws", "ws://127.0.0.1:8765/ws"),
        ("ws://[::1]:1/ws?room=a", "ws://[::1]:1/ws?room=a", "ws://[::1]:1/ws"),
        ("ws://chat.example", "ws://chat.example:80/", "ws://chat.example"),
    ],
)
def test_an_address_has_a_host_a_port_and_a_path(address: str, url: str, shown: str) -> None:
    found = target(address, MINTER)
    assert (found.url, found.shown) == (url, shown)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("https://chat.example/ws", "wss://host/ws"),
        ("wss:///ws", "wss://host/ws"),
        ("wss://chat.example:99999/ws", "wss://host/ws"),
        ("wss://[chat/ws", "wss://host/ws"),
        ("wss://ann:pw@chat.example/ws", "no password"),
        ("wss://chat.example/ws?token=abc", "leave token= out"),
        ("wss://chat.example/ws#top", "fragment"),
    ],
)
def test_what_is_no_such_address_is_refused_with_the_cure_and_without_its_secrets(address: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as refusal:
        target(address, MINTER)
    assert "abc" not in f"{refusal.value}"
    assert "pw" not in f"{refusal.value}"


def test_certificates_are_checked_unless_somebody_says_otherwise() -> None:
    usual = target("wss://chat.example/ws", MINTER).tls
    assert usual is not None
    assert (usual.verify_mode, usual.check_hostname) == (ssl.CERT_REQUIRED, True)
    anybody = target("wss://chat.example/ws", MINTER, insecure=True).tls
    assert anybody is not None
    assert anybody.verify_mode == ssl.CERT_NONE
    with self_signed() as files:
        own = target("wss://chat.example/ws", MINTER, ca=files.cert).tls
    assert own is not None
    assert own.verify_mode == ssl.CERT_REQUIRED
    assert len(own.get_ca_certs()) == 1


def test_options_of_tls_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("none", encoding="ascii")
    with pytest.raises(UsageError, match="no certificates"):
        target("wss://chat.example/ws", MINTER, ca=tmp_path / "no.pem")
    with pytest.raises(UsageError, match="one of them"):
        target("wss://chat.example/ws", MINTER, ca=tmp_path / "no.pem", insecure=True)
    with pytest.raises(UsageError, match="without TLS"):
        target("ws://chat.example/ws", MINTER, insecure=True)


@pytest.mark.parametrize(
    ("event", "with_key"),
    [
        ({"do": "crash_node", "down": "1s"}, False),
        ({"do": "restart_node", "down": "1s"}, False),
        ({"do": "drain_node"}, False),
        ({"do": "log_outage", "for": "1s"}, False),
        ({"do": "clock_jump", "by": "1h"}, False),
        ({"do": "revoke"}, True),
        ({"do": "post"}, True),
        ({"do": "end_session"}, True),
        ({"do": "remove_participant"}, True),
        ({"do": "refresh_token", "token": "revoked"}, True),
    ],
)
def test_what_only_an_operator_can_do_is_not_played(event: dict[str, Any], with_key: bool) -> None:
    asked = scenario([{"at": "10s", **event}])
    with pytest.raises(NotApplicableError, match=f"{event['do']} at 10 s"):
        target("wss://chat.example/ws", MINTER).check(asked)
    keyed = target("wss://chat.example/ws", MINTER, admin_key=b"key")
    if with_key:
        keyed.check(asked)
    else:
        with pytest.raises(NotApplicableError):
            keyed.check(asked)


def test_a_scenario_that_asks_for_tls_or_revoked_tokens_needs_them() -> None:
    with pytest.raises(NotApplicableError, match="wss://"):
        target("ws://chat.example/ws", MINTER).check(scenario(tls=True))
    target("wss://chat.example/ws", MINTER).check(scenario(tls=True))
    with pytest.raises(NotApplicableError, match="admin-key-file"):
        target("ws://chat.example/ws", MINTER).check(scenario(credentials="revoked"))


def test_what_clients_do_to_themselves_is_played() -> None:
    events = [{"at": "1s", "do": "drop"}, {"at": "2s", "do": "vanish"}, {"at": "3s", "do": "expire_tokens"}]
    events += [{"at": "4s", "do": "refresh_token", "token": "forged"}]
    target("ws://chat.example/ws", MINTER).check(scenario(events))
