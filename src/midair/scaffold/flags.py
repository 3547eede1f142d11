"""Command lines and options of other servers, translated: each option becomes a key with its value, or an answer in words.

The words are those that somebody gets who types such a flag by habit (``Table.answers``); which key a flag sets is known from
``midair run`` itself (``Table.keys``). Here stands only what neither says: which options stand alone, short names, and units.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from midair.config import convert, units
from midair.config.checks import NOT_ZERO
from midair.config.convert import BadValue
from midair.config.keys import Key, Kind, all_keys
from midair.scaffold.evidence import Old, Start, Value
from midair.scaffold.literals import Literal

SERVERS = ("gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "waitress-serve", "fastapi", "flask")
"""Programs that serve an application and whose place midair takes."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


SWITCHES = _words(
    "--reload --http2 --access-log --no-access-log --use-colors --no-use-colors --proxy-headers --no-proxy-headers "
    "--server-header --no-server-header --date-header --no-date-header --version --reset-contextvars --factory --spew "
    "--check-config --print-config --preload --no-sendfile --reuse-port -D --daemon --initgroups "
    "--disable-redirect-access-to-syslog --capture-output --log-syslog -R --enable-stdio-inheritance "
    "--enable-backlog-metric --suppress-ragged-eofs --do-handshake-on-connect --permit-obsolete-folding "
    "--strip-header-spaces --permit-unconventional-http-method --permit-unconventional-http-version "
    "--casefold-http-method --no-control-socket --ws --no-ws --http1-keep-alive --no-http1-keep-alive "
    "--http1-pipeline-flush --no-http1-pipeline-flush --http2-adaptive-window --no-http2-adaptive-window --log "
    "--no-log --ssl-client-verify --no-ssl-client-verify --respawn-failed-workers --no-respawn-failed-workers "
    "--no-factory --metrics --no-metrics --no-reload --reload-ignore-worker-failure --no-reload-ignore-worker-failure "
    "--help -h -v --debug --with-threads --without-threads --debugger --no-debugger"
)
"""Options without a value. Those of uvicorn, gunicorn and granian are compared with their own lists by a test."""
VALUED = {"uvicorn": {"--ws"}, "gunicorn": set[str](), "flask": {"-h"}, "daphne": {"-v"}}
"""Options that have a value there, and none elsewhere."""


SHORT: Mapping[str, Mapping[str, str]] = {
    "gunicorn": _pairs(
        "-b --bind -w --workers -k --worker-class -t --timeout -c --config -p --pid -u --user -g --group -m --umask -n --name"
        " -e --env -D --daemon"
    ),
    "hypercorn": _pairs("-b --bind -w --workers -k --worker-class -c --config -p --pid -D --daemon"),
    "daphne": _pairs("-b --host -p --port -u --uds"),
    "flask": _pairs("-h --host -p --port -A --app -e --env-file"),
    "waitress-serve": _pairs("--listen --bind"),
}
"""Short names, which are not the same everywhere, as long ones."""
DEFAULT_BIND = {"flask": "127.0.0.1:5000", "waitress-serve": "0.0.0.0:8080"}
"""Of servers that listen elsewhere than midair if nothing is said."""
WORDS = {"critical": "error", "trace": "debug", "warn": "warning", "asgi3": "asgi", "asgi2": "asgi", "asginl": "asgi"}
"""Choices that have another name here."""
CERT_REQS = _pairs("0 none 1 optional 2 required CERT_NONE none CERT_OPTIONAL optional CERT_REQUIRED required")
ADDRESS = {"--host", "--port", "--uds", "--fd"}
"""Parts of one ``bind``."""
READ_ELSEWHERE = ADDRESS | {"--bind", "--app", "--factory", "--config", "--chdir", "--app-dir", "--pythonpath"}
CPUS_ANSWER = "auto: as many as the processors that may be used"
SAME_VARIABLES = ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS")
"""Variables that midair honours as the servers of before did."""


@dataclass(frozen=True, slots=True)
class Table:
    """What the command line of midair says of other servers' flags."""

    keys: Mapping[str, str]
    """Flag → key."""
    answers: Mapping[str, str]
    """Flag → what to type or do instead."""


# --- a command line ------------------------------------------------------------------------------------------------


def read_line(line: str, where: str, table: Table) -> Start | None:
    """How a shell line starts a server of applications; None if it starts none."""
    found = None
    chdir = ""
    for words in simple_commands(line):
        if words[:1] == ["cd"] and len(words) > 1:
            chdir = words[1]
        elif (start := read_words(words, where, table)) is not None:
            found = start
    if found and chdir and not found.chdir:
        found = replace(found, chdir=_inside(chdir))
    return found


def simple_commands(line: str) -> list[list[str]]:
    """The commands of a shell line, without what joins them, ``exec``, and variables set for one command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return []
    commands: list[list[str]] = [[]]
    for word in words:
        if word and set(word) <= set("&|;"):
            commands.append([])
        elif commands[-1] or not (re.match(r"[A-Za-z_]\w*=", word) or word in ("exec", "env", "sudo")):
            commands[-1].append(word)
    return [_out_of_a_shell(command) for command in commands if command]


def _out_of_a_shell(words: list[str]) -> list[str]:
    """``sh -c 'exec gunicorn …'`` as what it runs, if that is one command."""
    if len(words) == 3 and posixpath.basename(words[0]) in ("sh", "bash") and words[1] in ("-c", "-lc"):
        inner = simple_commands(words[2])
        return inner[-1] if inner else words
    return words


def read_words(words: Sequence[str], where: str, table: Table) -> Start | None:
    """The same for one command's words. What stands before the server (``poetry run``, a tracer) is named."""
    place = next((n for n, word in enumerate(words) if _server(words, n)), None)
    if place is None:
        return None
    server = _server(words, place)
    before = [
        word for word in words[:place] if word not in ("-m", "run", "poetry", "uv", "pipenv", "pdm", "hatch", "rye")
    ]
    olds = [] if not before or "python" in before[0] else [_wrapper(before)]
    rest = list(words[place + 1 :])
    if server in ("flask", "fastapi"):
        # Their servers are one of several commands: `flask --app shop run`.
        if not {"run", "dev"} & set(rest):
            return None
        rest = [word for word in rest if word not in ("run", "dev")]
    options, targets = _options(rest, server)
    target, is_factory = _target(server, targets, options)
    chdir = next((value for flag, value in options if flag in ("--chdir", "--app-dir", "--pythonpath")), "")
    config = next((value for flag, value in options if flag == "--config"), "")
    return Start(
        by=server,
        where=where,
        target=target,
        is_factory=is_factory or ("--factory", "") in options,
        chdir=_inside(chdir),
        config=config.removeprefix("file:"),
        olds=(*olds, *translated(options, server, table)),
    )


def _server(words: Sequence[str], place: int) -> str:
    """The server's name, if the word at ``place`` is one: a program, a path to one, or a module after ``-m``."""
    name = posixpath.basename(words[place])
    is_program = place == 0 or words[place - 1] in ("-m", "run") or not words[place - 1].startswith("-")
    return name if name in SERVERS and is_program else ""


def _wrapper(words: list[str]) -> Old:
    return Old(
        shlex.join(words),
        answer="stood before the server and is left out: start its part in the application, or say midair run under it",
    )


def _options(words: list[str], server: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Options with their values, in order, by long names; and what stands alone."""
    options: list[tuple[str, str]] = []
    alone: list[str] = []
    short = SHORT.get(server, {})
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        if not word.startswith("-") or word == "-":
            alone.append(word)
            continue
        flag, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2 and not equals:
            flag, value, equals = word[:2], word[2:], "="  # -w4
        is_switch = flag in SWITCHES and flag not in VALUED.get(server, ())
        flag = short.get(flag, flag)
        if not equals and not is_switch and waiting and not waiting[-1].startswith("--"):
            value = waiting.pop()
        options.append((flag, value))
    return options, alone


def _target(server: str, targets: list[str], options: list[tuple[str, str]]) -> tuple[str, bool]:
    """``module:attribute``, and whether it is called to make the application."""
    said = next((value for flag, value in options if flag == "--app"), "") or (targets[0] if targets else "")
    module, colon, attribute = said.partition(":")
    is_called = attribute.endswith(")")
    attribute = attribute.partition("(")[0]
    if module.endswith(".py") or "/" in module:
        module = module.removesuffix(".py").strip("./").replace("/", ".")
    default = "application" if server == "gunicorn" else "app"
    return (f"{module}:{attribute if colon else default}" if module else ""), is_called


def _inside(folder: str) -> str:
    """A folder of another machine says where the project was put, and is no part of it."""
    return "" if folder.startswith(("/", "$", "~")) or folder in (".", "./") else folder.rstrip("/").removeprefix("./")


# --- options -------------------------------------------------------------------------------------------------------


def translated(options: Sequence[tuple[str, Literal]], server: str, table: Table) -> Iterator[Old]:
    """What became of each option. Several parts of an address become one ``bind``."""
    address = {flag: value for flag, value in options if flag in ADDRESS}
    if address:
        yield _bind(address, DEFAULT_BIND.get(server, "127.0.0.1:8000"))
    elif server in DEFAULT_BIND and not any(flag == "--bind" for flag, _ in options):
        yield Old(f"{server}'s own address", "bind", DEFAULT_BIND[server])
    given = [value if isinstance(value, tuple) else (value,) for flag, value in options if flag == "--bind"]
    if given:
        yield _binds([str(value) for values in given for value in values])
    for flag, value in options:
        if flag not in READ_ELSEWHERE:
            yield from _one(flag, value, table)


def _one(flag: str, value: Literal, table: Table) -> Iterator[Old]:
    written = f"{flag} {shown(value)}".strip()
    positive = "--" + flag.removeprefix("--no-") if flag.startswith("--no-") else flag
    key = table.keys.get(flag) or table.keys.get(positive)
    if flag == "--env":
        yield from _variables(value)
    elif flag in ("--worker-class", "-k"):
        yield Old(written, answer=_of_worker_class(str(value), table))
    elif flag == "--ssl-version":
        version = next((v for v in ("1.2", "1.3") if v.replace(".", "_") in str(value)), "")
        yield Old(written, "tls.min_version", version) if version else Old(written, answer=table.answers[flag])
    elif key is None:
        yield Old(written, answer=table.answers.get(flag, "midair knows no such option; left out"))
    elif flag == "--access-logfile":
        yield Old(written, key, value not in ("None", None, ""))
    else:
        yield _with_key(written, all_keys()[key], False if flag != positive and flag not in table.keys else value)


def _of_worker_class(kind: str, table: Table) -> str:
    if any(green in kind for green in ("gevent", "eventlet")):
        return f"no counterpart to {kind}: WSGI runs in threads, serve.wsgi_threads of them in each worker"
    return table.answers["--worker-class"]


def _with_key(written: str, key: Key, value: Literal) -> Old:
    if key.is_secret:
        written = f"{written.partition(' ')[0]} …"
    if isinstance(value, str) and "$" in value:
        return Old(written, answer=_of_variable(value))
    if value in ("", True) and key.kind is not Kind.FLAG:
        return Old(written, answer=f"left out: {key.name} needs a value here")
    try:
        found = value_for(key, value)
    except BadValue as exc:
        return Old(written, answer=f"left out: {key.name} takes {exc}")
    if key.name in NOT_ZERO and found in ("0", 0):
        return Old(written, answer=f"left out: 0 was never; {key.name} always has a limit")
    return Old(written, key.name, found)


def _of_variable(value: str) -> str:
    names = re.findall(r"\$\{?(\w+)", value)
    for name in names:
        if name in SAME_VARIABLES:
            return f"${name} is honoured as it is"
    return f"left out: ${names[0] if names else '?'} decides; every key has a variable"


def value_for(key: Key, value: Literal) -> Value:
    """A value of another server as the key has it, with its unit. Raises BadValue."""
    text = str(value).strip()
    match key.kind:
        case Kind.FLAG:
            text = "true" if value in ("", True) else "false" if value in (False, None) else text
            found: Value = bool(convert.read(key, text, is_text=True))
        case Kind.COUNT | Kind.WORKERS:
            found = "auto" if text == "auto" else int(str(convert.read(key, text, is_text=True)))
        case Kind.DURATION:
            is_bare = re.fullmatch(r"\d+(\.\d+)?", text) is not None
            found = text if not is_bare else f"{text}s" if float(text) else "0"
        case Kind.SIZE:
            found = units.write_size(int(text)) if text.isdigit() else text
        case Kind.CHOICE:
            word = CERT_REQS.get(text.rpartition(".")[2], text) if key.name == "tls.cert_reqs" else text.lower()
            found = WORDS.get(word, word)
        case Kind.LIST:
            parts = value if isinstance(value, tuple) else text.split(",")
            found = tuple(str(part).strip() for part in parts if str(part).strip())
        case _:
            found = text
    convert.read(key, list(found) if isinstance(found, tuple) else found, is_text=False)
    return found


def as_written(key: Key, value: object) -> Value:
    """A value as the schema holds it, as a file would have it."""
    if isinstance(value, tuple):
        return tuple(map(str, value))
    if isinstance(value, bool) or (isinstance(value, int) and key.kind in (Kind.COUNT, Kind.WORKERS)):
        return value
    return convert.write(key, value)


def _variables(value: Literal) -> Iterator[Old]:
    for each in value if isinstance(value, tuple) else (value,):
        name, _, text = str(each).partition("=")
        # The value may be a secret: it goes into the file, where it stood before, and nowhere else.
        yield Old(f"--env {name}=…", f"env.{name}", text)


def _bind(address: Mapping[str, Literal], default: str) -> Old:
    written = " ".join(f"{flag} {shown(value)}" for flag, value in address.items())
    if uds := address.get("--uds"):
        return Old(written, "bind", f"unix:{uds}")
    if "--fd" in address:
        return Old(written, "bind", f"fd://{address['--fd']}")
    host, _, port = default.rpartition(":")
    host, said = str(address.get("--host") or host), str(address.get("--port") or port)
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return _binds([f"{host}:{said}"], written)


def _binds(addresses: Sequence[str], written: str = "") -> Old:
    found, answer = [], ""
    for address in addresses:
        plain = re.sub(r"\$\{?\w+(?::-?(\w+))?\}?", lambda match: match[1] or "8000", address)
        if plain != address:
            port = address.rpartition(":")[2]
            answer = f"{port} decides, and is honoured as it is" if "PORT" in address else f"was {address}"
        found.append(plain if ":" in plain else f"{plain}:8000")
    written = written or " ".join(f"--bind {address}" for address in addresses)
    return Old(written, "bind", found[0] if len(found) == 1 else tuple(found), answer)


def shown(value: Literal) -> str:
    """A value of theirs on one short line."""
    text = "" if value is True or value is None else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
