"""Flags that people bring along from uvicorn, gunicorn, hypercorn and granian, and what to type here instead."""

from __future__ import annotations

_TLS = "TLS ends in front of midair (a proxy, a load balancer)"
_DEV = "not needed: midair reload updates a running service to the code on disk"

FLAGS = {
    "--reload": _DEV,
    "--reload-dir": _DEV,
    "--reload-include": _DEV,
    "--reload-exclude": _DEV,
    "--host": "write --bind HOST:PORT",
    "--port": "write --bind HOST:PORT",
    "-p": "write --bind HOST:PORT",
    "--uds": "write --bind unix:PATH",
    "--fd": "write --bind fd://N",
    "--app-dir": "write --chdir FOLDER",
    "--worker-class": "not needed: ASGI and WSGI are told apart; see --interface",
    "-k": "not needed: ASGI and WSGI are told apart; see --interface",
    "--threads": "write --set serve.wsgi_threads=N, or wsgi_threads under [serve] in midair.toml",
    "--preload": "not needed: code is imported once and workers are forked; see --zygote",
    "--timeout": "write --set worker.hang_timeout=30s",
    "--graceful-timeout": "write --drain-timeout 30s",
    "--timeout-graceful-shutdown": "write --drain-timeout 30s (updates) or --set stop.timeout=30s",
    "--timeout-keep-alive": "write --set serve.timeout_keep_alive=75s",
    "--keep-alive": "write --set serve.timeout_keep_alive=75s",
    "--limit-concurrency": "write --set serve.limit_concurrency=N",
    "--limit-max-requests": "write --set worker.max_requests=N",
    "--max-requests": "write --set worker.max_requests=N",
    "--max-requests-jitter": "write --set worker.max_requests_jitter=N",
    "--backlog": "write --set serve.backlog=N",
    "--lifespan": "write --set serve.lifespan=on",
    "--log-level": "write --set log.level=debug",
    "--log-config": "applications configure their own logging; ours: --log-format, --set log.level=…",
    "--access-logfile": "write --access-log; lines go to the service's log",
    "--pid": "the supervisor's process id never changes: midair status --json",
    "--pidfile": "the supervisor's process id never changes: midair status --json",
    "--daemon": "let systemd run it (Type=notify)",
    "-D": "let systemd run it (Type=notify)",
    "--user": "let systemd run it as that user (User=)",
    "--group": "let systemd run it as that group (Group=)",
    "--certfile": _TLS,
    "--keyfile": _TLS,
    "--ssl-keyfile": _TLS,
    "--ssl-certfile": _TLS,
    "--env": "write --env-file FILE, or [env] in midair.toml",
    "-e": "write --env-file FILE, or [env] in midair.toml",
}
