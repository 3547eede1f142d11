"""The command line as a whole: find the command, run it, turn every way of failing into words and an exit code."""

from __future__ import annotations

import importlib
import os
import sys

import click

from midair import __version__
from midair.cli import commands
from midair.cli.show import Show
from midair.errors import BUG, DONE, UNKNOWN, USAGE, Fault, MidairError, NeedsLinux

OF_COMMANDS = ("-C", "--config", "--name", "--json")
"""Options that every command has, and midair itself has not."""


class Commands(click.Group):
    """The commands of the table, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(commands.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in commands.COMMANDS:
            return None
        module = importlib.import_module(f"midair.cli.{commands.module_of(cmd_name)}")
        found: click.Command = module.command
        found.short_help = commands.COMMANDS[cmd_name]
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in commands.COMMANDS and not name.startswith("-"):
            raise click.UsageError(f"there is no command {name!r}{_meant(name)}", ctx)
        check_system(name, args, sys.platform)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(commands.help_text())


def check_system(name: str, args: list[str], platform: str) -> None:
    """Raises NeedsLinux for a command that cannot work here; its help can be read everywhere."""
    is_help = bool({"-h", "--help"}.intersection(_before_dashes(args)))
    if platform != "linux" and name in commands.COMMANDS and name not in commands.ANYWHERE and not is_help:
        raise NeedsLinux(f"midair {name}", platform)


def _meant(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, commands.COMMANDS, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; did you mean midair run {name}?" if ":" in name else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="midair %(version)s")
def midair() -> None:
    """Update a running service to new code with nothing lost."""


def run(args: list[str]) -> int:
    """Run the command line ``args`` and return the exit code. Nothing is raised but what ends an interpreter."""
    show = Show(as_json="--json" in _before_dashes(args))
    try:
        if instruction := os.environ.get("_MIDAIR_COMPLETE"):
            from click.shell_completion import shell_complete  # Half of what click costs beside its core.

            return shell_complete(midair, {}, "midair", "_MIDAIR_COMPLETE", instruction)
        # Not midair.main(): that one has its own idea of a reader that has gone (exit 1, whatever was asked for).
        with midair.make_context("midair", args) as context:
            code = midair.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        return show.failure(_usage_fault(exc), USAGE)
    except (click.Abort, KeyboardInterrupt):
        return show.failure(Fault("interrupted", "interrupted"), 130)
    except BrokenPipeError:
        # Whoever read our output (head, a pager) has gone. Without this Python complains again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNKNOWN
    except MidairError as exc:
        return show.failure(exc.fault(), exc.exit_code)
    except Exception as exc:  # noqa: BLE001  # the last resort: whatever it is, it is our bug and is said to be one
        return show.failure(_bug(exc), BUG)
    return code if isinstance(code, int) else DONE


def _before_dashes(args: list[str]) -> list[str]:
    return args[: args.index("--")] if "--" in args else args


def _usage_fault(exc: click.ClickException) -> Fault:
    """click's words as ours: a sentence, and a hint."""
    hint = ""
    if isinstance(exc, click.NoSuchOption):
        from midair.cli.foreign import FLAGS

        near = ", ".join(sorted(exc.possibilities or ()))
        hint = FLAGS.get(exc.option_name, f"did you mean {near}?" if near else "")
        if exc.option_name in OF_COMMANDS and isinstance(exc.ctx and exc.ctx.command, click.Group):
            hint = f"it comes after the command: midair status {exc.option_name} …"
        message = f"there is no option {exc.option_name}"
    else:
        text = exc.format_message().strip().rstrip(".")
        message, _, meant = text.partition("; ") if "; did you mean" in text else (text, "", "")
        message, hint = message[:1].lower() + message[1:], meant
    path = exc.ctx.command_path if isinstance(exc, click.UsageError) and exc.ctx else "midair"
    return Fault("usage", message, hint or f"see {path} --help")


def _bug(exc: Exception) -> Fault:
    """A short report: what and where, and how to tell us. The whole traceback with MIDAIR_TRACEBACK=1."""
    import traceback

    frames = traceback.extract_tb(exc.__traceback__)
    lines = (
        traceback.format_exception(exc) if os.environ.get("MIDAIR_TRACEBACK") else traceback.format_list(frames[-3:])
    )
    versions = f"midair {__version__}, Python {sys.version.split()[0]}, {sys.platform}"
    return Fault(
        "bug",
        f"unexpected {type(exc).__name__}: {exc}",
        f"this is a bug in midair ({versions}); please report it with the lines above",
        "".join(lines).rstrip(),
    )
