"""Keyword arguments of ``midair.serve()``: uvicorn's names are read as its users mean them, and every other is explained."""

from __future__ import annotations

import inspect
import logging

import pytest
import uvicorn

from midair.config.keys import all_keys
from midair.config.problems import BadConfig
from midair.library.arguments import ADDRESS, BEFORE_IMPORT, ELSEWHERE, UnknownArgument, keywords, read_arguments


def values(**given: object) -> dict[str, object]:
    return dict(read_arguments(given, "main.py:1, midair.serve()").values)


@pytest.mark.parametrize(
    ("given", "key", "value"),
    [
        ({"host": "0.0.0.0", "port": 80}, "bind", ("0.0.0.0:80",)),
        ({"port": 8080}, "bind", ("127.0.0.1:8080",)),
        ({"host": "::1"}, "bind", ("[::1]:8000",)),
        ({"uds": "/run/web.sock"}, "bind", ("unix:/run/web.sock",)),
        ({"fd": 3}, "bind", ("fd://3",)),
        ({"bind": ["127.0.0.1:1", "unix:web"]}, "bind", ("127.0.0.1:1", "unix:web")),
        ({"workers": 4}, "workers", 4),
        ({"root_path": "/api"}, "serve.root_path", "/api"),
        ({"access_log": False}, "serve.access_log", False),
        ({"log_level": "critical"}, "log.level", "error"),
        ({"log_level": logging.DEBUG}, "log.level", "debug"),
        ({"timeout_keep_alive": 5}, "serve.timeout_keep_alive", "5s"),
        ({"timeout_keep_alive": "5s"}, "serve.timeout_keep_alive", "5s"),
        ({"timeout_graceful_shutdown": 2.5}, "stop.timeout", "2.5s"),
        ({"headers": [("X-Served-By", "shop"), ("X-A", "b")]}, "serve.headers", ("X-Served-By:shop", "X-A:b")),
        ({"proxy_headers": True}, "serve.proxy_headers", True),
        ({"forwarded_allow_ips": "10.0.0.1,10.0.0.2"}, "serve.forwarded_allow_ips", "10.0.0.1,10.0.0.2"),
        ({"limit_concurrency": 100}, "serve.limit_concurrency", 100),
        ({"limit_max_requests": 1000}, "worker.max_requests", 1000),
        ({"ws_max_size": 16777216}, "serve.ws_max", "16777216B"),
        ({"ws_ping_interval": 20.0}, "serve.ws_ping_interval", "20s"),
        ({"drain_rate": 0.05}, "drain.rate", "5%"),
        ({"drain_rate": "100%"}, "drain.rate", "100%"),
        ({"health": "/healthz"}, "health.path", "/healthz"),
        ({"metrics": "127.0.0.1:9464"}, "metrics.address", "127.0.0.1:9464"),
    ],
)
def test_an_argument_is_a_key(given: dict[str, object], key: str, value: object) -> None:
    assert values(**given) == {key: value}


def test_none_says_nothing() -> None:
    assert values(host=None, port=None, workers=None, root_path=None) == {}


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (
            {"timeout_keepalive": 5},
            "did you mean timeout_keep_alive? (serve.timeout_keep_alive in docs/configuration.md)",
        ),
        ({"prot": 8000}, "did you mean port? (bind in docs/configuration.md)"),
        ({"reload": True}, "midair reload"),
        ({"env_file": ".env"}, "env_files in midair.toml"),
        ({"chdir": "/srv"}, "chdir in midair.toml"),
        ({"xyzzy": 1}, "docs/configuration.md"),
        ({"bind": "a:1", "port": 2}, "bind=["),
        ({"workers": object()}, "workers"),
    ],
)
def test_what_cannot_be_given_is_a_type_error_that_says_what_can(given: dict[str, object], hint: str) -> None:
    with pytest.raises(TypeError) as raised:
        values(**given)
    assert isinstance(raised.value, UnknownArgument)
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    "given", [{"workers": -1}, {"loop": "tokio"}, {"access_log": "maybe"}, {"drain_rate": "often"}]
)
def test_a_value_that_the_key_does_not_take_is_said_with_the_call(given: dict[str, object]) -> None:
    with pytest.raises(BadConfig, match=r"main\.py:1, midair\.serve\(\)"):
        values(**given)


def test_every_key_can_be_given_or_counts_before_the_program_is_imported() -> None:
    given = {key.name for key in keywords().values()}
    assert given | BEFORE_IMPORT == set(all_keys())


NOT_OFFERED = ("ssl_", "reset_contextvars", "ws_max_queue", "http2")
"""What uvicorn has and midair has not: an unknown argument like any other."""


def test_uvicorns_names_are_known_or_explained() -> None:
    known = {*keywords(), *ADDRESS, *ELSEWHERE, "app", "factory"}
    others = set(inspect.signature(uvicorn.run).parameters) - known
    assert {name for name in others if not name.startswith(NOT_OFFERED)} == set()
