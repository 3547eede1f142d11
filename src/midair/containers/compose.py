"""The Compose file of a service. Pure; each line says why it is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from midair.containers.container import UID, Container, Port
from midair.containers.file_text import File, Line, scalar

NAME = "compose.yaml"
NAMES = (NAME, "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""As Compose looks for them: the first that is there counts."""
OPEN_FILES = 65536


def compose(container: Container, name: str = NAME) -> File:
    """The file. name: the one that is there already has its name."""
    head = (
        f"{container.settings.name} under midair. Made by `midair container --compose`; it may be written"
        f" anew: what is to be different"
        " goes into compose.override.yaml."
    )
    return File(name, head, tuple(_lines(container)))


def _lines(container: Container) -> Iterator[Line]:
    yield Line("services:")
    yield Line(f"  {container.name}:")
    yield Line(
        "    build: .",
        "The Dockerfile beside this file. midair is process 1: without `init: true`, which would only be in between.",
    )
    yield Line(
        f"    stop_grace_period: {container.stop.total_s}s",
        f"How long a stop may take before it is killed; otherwise 10 s. {container.stop}.",
    )
    yield Line(
        "    restart: unless-stopped", "midair replaces workers; this is for the machine's own restart, and for midair."
    )
    yield from _ports(container.ports)
    yield from _places(container)
    yield from _rights()
    yield from _limits()
    yield Line("volumes:")
    yield Line("  state:")


def _ports(ports: Sequence[Port]) -> Iterator[Line]:
    if not ports:
        return
    local = (
        "As `bind` says it, for this machine alone: without the address before it a port is open to all who"
        " reach the machine,"
        " whatever its firewall says."
    )
    rows = [
        Line(f'      - "127.0.0.1:{port.number}:{port.number}"', local)
        if port.is_local
        else Line(f'      - "{port.number}:{port.number}"', "Open to all who reach this machine, as `bind` says it.")
        for port in ports
    ]
    yield Line("    ports:")
    yield from rows


def _places(container: Container) -> Iterator[Line]:
    yield Line(
        "    read_only: true", "Nothing that runs changes the code, or leaves anything behind, but in the places below."
    )
    yield Line("    tmpfs:")
    owned = f"uid={UID},gid={UID},mode=0700"
    yield Line(
        f"      - {scalar(f'{container.runtime_dir}:{owned}')}", "The control socket and the lock, where commands look."
    )
    yield Line("      - /tmp", "For the application.")
    yield Line("    volumes:")
    yield Line(f"      - {scalar(f'state:{container.state_dir}')}", "The receipts of updates outlive the container.")
    for path in container.secrets:
        why = f"Secret values, which are no part of the image. User {UID} has to be able to read them."
        yield Line(f"      - {scalar(_plain(f'./{path}:{container.folder}/{path}:ro'))}", why)


def _rights() -> Iterator[Line]:
    yield Line(
        "    cap_drop: [ALL]",
        "midair needs no right of root's, a port below 1024 neither: Docker leaves these to everybody.",
    )
    yield Line("    security_opt:")
    yield Line("      - no-new-privileges:true")


def _limits() -> Iterator[Line]:
    yield Line("    ulimits:")
    yield Line(f"      nofile: {OPEN_FILES}", "Each connection is a descriptor.")


def _plain(text: str) -> str:
    """A dollar sign would take in a variable."""
    return text.replace("$", "$$")
