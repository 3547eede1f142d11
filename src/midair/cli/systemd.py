"""``midair systemd``: the units of the service, printed, written or checked."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import click
import msgspec

from midair.cli.made import compared, there, written
from midair.cli.options import Service, service_options
from midair.cli.running import override_of_target
from midair.cli.show import Show
from midair.config.keys import SECRETS, all_keys, variable_name
from midair.config.load import KEPT_VARIABLES, Loaded
from midair.config.places import PLACE_VARIABLES, own_uid
from midair.config.schema import Settings
from midair.errors import DONE, FAILED, WorldError
from midair.systemd.unit_text import Unit, difference, escaped_name, said
from midair.systemd.units import Wanted, template_unit, units
from midair.systemd.verify import verify

SYSTEM_DIR = "/etc/systemd/system"
USER_DIR = "~/.config/systemd/user"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where systemd looks for a service's programs."""


class UnitUnwritable(WorldError):
    """The units cannot be written there."""

    code = "unit-unwritable"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed."""

    user: str
    has_socket: bool
    is_template: bool
    is_user_unit: bool
    environment: tuple[str, ...]
    after: tuple[str, ...]
    target: str
    main: str


@click.command
@click.argument("target", default="", metavar="[TARGET]")
@click.option("--main", "main_file", default="", metavar="FILE", help="A program that calls midair.serve().")
@click.option(
    "--socket",
    "has_socket",
    is_flag=True,
    help="systemd opens the listeners: a socket unit each, too; default: if one is installed.",
)
@click.option(
    "--template", "is_template", is_flag=True, help="midair@.service: one unit for all services beside this one."
)
@click.option(
    "--user", default="", metavar="NAME", help="Who runs it; default: as installed, else who owns the folder."
)
@click.option("--user-unit", "is_user_unit", is_flag=True, help="For a user's own systemd, without root.")
@click.option(
    "--environment", "-e", multiple=True, metavar="NAME=VALUE", help="For the supervisor and all versions; several."
)
@click.option(
    "--after", multiple=True, metavar="UNIT", help="Another unit that comes first, such as a database; several."
)
@click.option("--plain", "is_plain", is_flag=True, help="Without the comments.")
@click.option(
    "--write", "into", is_flag=False, flag_value=" ", default="", metavar="[DIR]",
    help=f"Write them; default: into {SYSTEM_DIR}.",
)  # fmt: skip
@click.option("--check", "is_check", is_flag=True, help="Verify them, and compare with those that are installed.")
@service_options
def command(
    service: Service,
    *,
    target: str,
    main_file: str,
    has_socket: bool,
    is_template: bool,
    user: str,
    is_user_unit: bool,
    environment: tuple[str, ...],
    after: tuple[str, ...],
    is_plain: bool,
    into: str,
    is_check: bool,
) -> int:
    """Print the units that run this service under systemd, made from its configuration; each line says why it is there.

    \b
    midair systemd                         print them
    midair systemd --write                 write them, and say what to type next
    midair systemd --check                 1 if systemd finds fault, or what is installed is out of date
    """
    asked = _Asked(user, has_socket, is_template, is_user_unit, environment, after, target, main_file)
    _check_usage(asked, into, is_check=is_check)
    where = into.strip() or (os.path.expanduser(USER_DIR) if is_user_unit else SYSTEM_DIR)
    made = _made(service, asked, where)
    texts = {unit.name: unit.text(is_plain=is_plain) for unit in made}
    if is_check:
        return _check(service.show, texts, where, is_user_unit=is_user_unit)
    kept = _write(service, texts, where) if into else []
    following = _next(made[0].name, asked, where, is_changed=bool(kept)) if into else []
    if service.show.as_json:
        rows = [{"name": name, "path": os.path.join(where, name), "text": text} for name, text in texts.items()]
        service.show.json({"units": rows, "written": bool(into), "copies": kept, "next": following})
    elif not into:
        service.show.raw(
            "\n".join(f"# --- {name}\n\n{text}" if len(texts) > 1 else text for name, text in texts.items())
        )
        _say_where(service.show, texts, where)
    else:
        service.show.line("next:")
        for line in following:
            service.show.line(f"  {line}")
    return DONE


def _check_usage(asked: _Asked, into: str, *, is_check: bool) -> None:
    if into and is_check:
        raise click.UsageError("--write and --check; a check writes nothing")
    if asked.is_template and asked.has_socket:
        raise click.UsageError(
            "--template and --socket; each service has addresses of its own: write its socket unit alone"
        )
    if asked.is_user_unit and asked.user:
        raise click.UsageError("--user and --user-unit; a user's own systemd runs all as that user")


# --- what they are made of -----------------------------------------------------------------------------------------


def _made(service: Service, asked: _Asked, where: str) -> tuple[Unit, ...]:
    """The units. Raises ConfigError, UsageError."""
    if asked.is_template:
        folder = service.sources({}).folder
        wanted = _wanted(service, asked, {}, folder, asked.user or ("" if asked.is_user_unit else "%i"))
        return (template_unit(os.path.dirname(folder), wanted),)
    loaded = service.sources(override_of_target((asked.target,) if asked.target else (), (), asked.main)).load()
    settings = _as_a_unit_has_it(loaded)
    name = os.path.join(where, escaped_name(settings.name))
    asked = replace(asked, has_socket=asked.has_socket or bool(_installed(f"{name}.socket")))
    user = "" if asked.is_user_unit else asked.user or _user(settings.folder, _installed(f"{name}.service"))
    if not user and not asked.is_user_unit:
        service.show.warning("it will run as root: --user NAME names another user")
    elif user and not _is_known(user):
        service.show.warning(f"there is no user {user}: useradd --system {user}")
    environment = _environment_that_counts(service.show, loaded) | _path(settings)
    return units(settings, _wanted(service, asked, environment, settings.folder, user))


def _as_a_unit_has_it(loaded: Loaded) -> Settings:
    """Where the folders come from systemd, they are not those of whoever types this."""
    chosen = {
        key: getattr(loaded.settings, key) if loaded.origins[key].kind != "default" else ""
        for key in ("runtime_dir", "state_dir")
    }
    return msgspec.structs.replace(loaded.settings, **chosen)


def _wanted(service: Service, asked: _Asked, environment: Mapping[str, str], folder: str, user: str) -> Wanted:
    named = {}
    for assignment in asked.environment:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--environment {assignment}: write NAME=VALUE")
        named[name] = value
    command = midair_command()
    options = (*(("-c", service.config) if service.config else ()), *(("--name", service.name) if service.name else ()))
    run = (*((asked.target,) if asked.target else ()), *(("--main", asked.main) if asked.main else ()))
    interpreter = os.path.join(folder, ".venv", "bin", "python")
    return Wanted(
        command=command,
        target=run,
        options=options,
        user="" if user == "root" else user,
        environment={**environment, **named},
        after=asked.after,
        is_user_unit=asked.is_user_unit,
        has_socket=asked.has_socket,
        is_link=os.path.realpath(folder) != folder,
        paths=tuple({os.path.realpath(path) for path in (command[0], sys.executable, sys.prefix, interpreter)}),
    )


def midair_command() -> tuple[str, ...]:
    """How to execute the midair that is asked: its links as they are, so that a swapped one counts."""
    script = os.path.abspath(sys.argv[0])
    if os.path.basename(script) == "midair" and os.access(script, os.X_OK):
        return (script,)
    beside = os.path.join(os.path.dirname(sys.executable), "midair")
    return (beside,) if os.access(beside, os.X_OK) else (sys.executable, "-m", "midair")


def _user(folder: str, installed: str) -> str:
    """Who the installed unit says, else who owns the folder; empty: root."""
    import pwd

    for row in said(installed):
        if row.startswith("User="):
            return row.removeprefix("User=")
    uid = os.stat(folder).st_uid
    try:
        return "" if uid == 0 else pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _is_known(user: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(user)
    except KeyError:
        return user.isdigit()
    return True


def _environment_that_counts(show: Show, loaded: Loaded) -> dict[str, str]:
    """The variables of this shell that the configuration was made with: the unit has to have them, too."""
    found = {}
    secret = {variable_name(key) for key in SECRETS}
    keys = {key.variable for key in all_keys().values()}
    for name in sorted({*keys, *KEPT_VARIABLES} - {*PLACE_VARIABLES, "MIDAIR_NAME"}):
        value = os.environ.get(name, "")
        if value and name in secret:
            show.warning(f"{name} is secret and a unit can be read by all: it is left out")
        elif value and any(origin.where == name for origin in loaded.origins.values()):
            found[name] = value
    return found


def _path(settings: Settings) -> dict[str, str]:
    """PATH, if the program of a command is found in ours and would not be in systemd's."""
    import shutil

    if not settings.is_command or "/" in settings.command[0] or shutil.which(settings.command[0], path=SYSTEM_PATH):
        return {}
    found = shutil.which(settings.command[0])
    return {"PATH": f"{os.path.dirname(found)}:{SYSTEM_PATH}"} if found else {}


# --- writing -------------------------------------------------------------------------------------------------------


def _say_where(show: Show, texts: Mapping[str, str], where: str) -> None:
    names = " and ".join(texts)
    show.note(f"not written; midair systemd --write puts {names} into {where}")


def _write(service: Service, texts: Mapping[str, str], where: str) -> list[str]:
    """Write the units, and say what changes. Returns the copies that were kept. Raises UnitUnwritable."""
    kept = []
    for name, text in texts.items():
        path = os.path.join(where, name)
        before = _installed(path)
        try:
            kept += written(service.show, path, text, before, difference(before, text), "the same to systemd as before")
        except OSError as exc:
            hint = _hint_of_unwritable(service.folder)
            raise UnitUnwritable(f"{path} cannot be written: {exc.strerror}", hint=hint) from exc
    return kept


def _hint_of_unwritable(folder: str) -> str:
    """folder: as it was typed with ``-C``; empty: root may be somewhere else."""
    if own_uid() == 0:
        return "name another folder: midair systemd --write DIR"
    words = shlex.join((*midair_command(), *sys.argv[1:], *(() if folder else ("-C", os.getcwd()))))
    return f"as root: sudo {words}; or, without root, a unit of your own: midair systemd --user-unit --write"


def _next(name: str, asked: _Asked, where: str, *, is_changed: bool) -> list[str]:
    """What to type after the units are written. name: the service's."""
    control = "systemctl --user" if asked.is_user_unit else "systemctl"
    name = name.replace("@.", "@NAME.")
    lines = [f"{control} daemon-reload", f"{control} enable --now {name}"]
    if is_changed:
        lines.append(f"{control} restart {name}    (what is different counts from its next start on)")
    if where not in (SYSTEM_DIR, os.path.expanduser(USER_DIR)):
        lines.insert(0, f"copy it to {USER_DIR if asked.is_user_unit else SYSTEM_DIR}")
    if asked.is_user_unit:
        lines.append("loginctl enable-linger    (so that it runs while you are not logged in)")
    return lines


def _installed(path: str) -> str:
    """The text of an installed unit; empty: none."""
    try:
        return there(path)
    except OSError as exc:
        raise UnitUnwritable(f"{path} cannot be read: {exc.strerror}", hint="name another folder") from exc


# --- checking ------------------------------------------------------------------------------------------------------


def _check(show: Show, texts: Mapping[str, str], where: str, *, is_user_unit: bool) -> int:
    """1 if there is anything to find."""
    found = verify(texts, is_user_unit=is_user_unit)
    stale, missing = compared(texts, lambda name: _installed(os.path.join(where, name)), difference)
    if show.as_json:
        show.json({"findings": found, "stale": stale, "missing": missing, "where": where})
    else:
        _tell_findings(show, found, stale, missing, where)
    return FAILED if found or stale else DONE


def _tell_findings(
    show: Show, found: list[str], stale: Mapping[str, list[str]], missing: list[str], where: str
) -> None:
    for finding in found:
        show.line(f"systemd says: {finding}")
    for name, changed in stale.items():
        show.line(
            f"{os.path.join(where, name)} is not what the configuration asks for; midair systemd --write would change:"
        )
        for row in changed:
            show.line(f"  {row}")
    for name in missing:
        show.note(f"{name} is not in {where}")
    if not found and not stale:
        show.line("good: systemd finds no fault" + ("" if missing else ", and what is installed is what is asked for"))
