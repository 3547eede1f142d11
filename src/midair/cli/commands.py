"""The commands by name. Imports nothing: ``midair --help`` and ``--version`` are answered from here in no time."""

from __future__ import annotations

from midair import __version__

COMMANDS = {
    "run": "Run a service: an ASGI or WSGI application, or any program that takes sockets.",
    "dev": "Run a service while it is written: what is saved is served, what is broken is not.",
    "reload": "Update to the code on disk; returns when the new version serves or was refused.",
    "rollback": "Go back to the version before.",
    "deploy": "Put a new release beside the one that serves, and update to it.",
    "init": "Look at a project and write its midair.toml.",
    "new": "Make a project that runs at once.",
    "check": "Check the configuration and import the application, without running it.",
    "doctor": "Look for what is not right around the service, and say what to type.",
    "status": "Show what serves, what is on disk, and what is going on.",
    "top": "Watch the service: versions, connections, requests, the drain; keys to act.",
    "why-alive": "Show what keeps an old version: connections, tasks, threads, processes.",
    "drain": "Have old versions end now that take too long over it.",
    "history": "List the updates, newest first.",
    "receipt": "Show everything about one update.",
    "explain": "Say what an error code means, and what to do about it.",
    "scale": "Change the number of workers.",
    "hold": "Refuse updates until released.",
    "upgrade": "Put the supervisor itself on the installed midair, in place.",
    "stop": "Stop the service.",
    "config": "Show every setting, its value and where it came from.",
    "logs": "Show what the service's workers printed, and what midair said.",
    "stacks": "Show where the workers' threads and tasks stand.",
    "systemd": "Print, write or check the units that run the service under systemd.",
    "container": "Print, write or check what runs the service in Docker, Compose and Kubernetes.",
    "alerts": "Print Prometheus' rules, and answer alerts with the update that they are about.",
    "dashboard": "Print a Grafana dashboard of the metrics.",
    "completion": "Print the completion script of a shell.",
}
"""In the order in which they are listed. The module is ``midair.cli.NAME`` (``module_of``), its command ``command``."""

ANYWHERE = frozenset({"init", "new", "config", "explain", "completion"})
"""Commands that work on other systems than Linux, too."""

EXIT_CODES = """\
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 a bug in midair,
4 refused or rolled back (the earlier version serves), 5 nothing runs under that
name, 6 outcome unknown (the update goes on), 7 held."""

SUMMARY = "Update a running service to new code with nothing lost."


def module_of(name: str) -> str:
    """``why-alive`` → ``why_alive``"""
    return name.replace("-", "_")


def plain_answer(word: str) -> str:
    """What ``midair WORD`` prints if no command is needed for that; else nothing."""
    if word in ("--version", "-V"):
        return f"midair {__version__}\n"
    if word in ("--help", "-h", "help"):
        return help_text()
    return ""


def help_text() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = "".join(f"  {name:{width}}{text}\n" for name, text in COMMANDS.items())
    return f"""\
Usage: midair COMMAND [OPTIONS]

{SUMMARY}

Commands:
{lines}
Options:
  -h, --help     Show this, or a command's options: midair run --help
  -V, --version  Show the version.

A command finds its service by the folder it is typed in, by -C FOLDER, or by
--name NAME. Every command has --json.

When something is wrong, type midair status first: it says what to type next.

{EXIT_CODES}
"""
