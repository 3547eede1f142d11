"""The keys of ``nodemon.json`` and of ``nodemonConfig`` in package.json: what each is, and what becomes of it here.
``docs/nodemon.md`` is made from this list."""

from __future__ import annotations

from midair.config.theirs import Form, TheirKey

_NOT_ITS_OWN = "midair's keys have the terminal: r reloads, h shows the others"
_SHOWN = "it is on the terminal and in the page"

NODEMON_KEYS: tuple[TheirKey, ...] = (
    TheirKey("script", Form.TEXT, "", "better", "command", "the new version listens before the old one is told to go"),
    TheirKey("exec", Form.LINE, "", "better", "command", "as script; {{filename}} and {{pwd}} are filled in"),
    TheirKey(
        "execMap",
        Form.TABLE,
        {"py": "python", "rb": "ruby", "ts": "ts-node"},
        "same",
        "command",
        "by the script's ending",
    ),
    TheirKey("execArgs", Form.LIST, (), "same", "command", ""),
    TheirKey("nodeArgs", Form.LIST, (), "same", "command", "if node runs the script"),
    TheirKey("args", Form.LIST, (), "same", "command", "behind the script"),
    TheirKey("cwd", Form.TEXT, "", "same", "chdir", "paths hang on it, too"),
    TheirKey("env", Form.TABLE, {}, "same", "env", "what midair dev inherited wins, as with nodemon"),
    TheirKey(
        "ext", Form.TEXT, "js,mjs,cjs,json", "same", "watch.extensions", "without it the script's ending and json"
    ),
    TheirKey(
        "watch",
        Form.LINE,
        ("*.*",),
        "same",
        "watch.paths",
        "of a pattern, the folder before its first star; with ! it is ignored",
    ),
    TheirKey(
        "ignore",
        Form.LINE,
        (),
        "same",
        "watch.ignore",
        "as lines of a .gitignore, which say the same in these cases; ignored folders are not watched at all",
    ),
    TheirKey(
        "ignoreRoot",
        Form.LINE,
        (".git", "node_modules", "coverage", "…"),
        "better",
        "watch.ignore",
        "besides what is always ignored, not in its place: an empty list does not bring node_modules back",
    ),
    TheirKey(
        "delay",
        Form.DELAY,
        1000,
        "better",
        "watch.delay, watch.delay_max",
        "nodemon's 1000 is not waited for: a change counts after 10 ms of quiet. Another value is how long it has to be quiet",
    ),
    TheirKey(
        "legacyWatch",
        Form.FLAG,
        False,
        "better",
        "watch.poll",
        "false is auto: where the kernel tells nothing",
    ),
    TheirKey("pollingInterval", Form.MS, 100, "same", "watch.poll_interval", ""),
    TheirKey(
        "watchOptions",
        Form.ANY,
        None,
        "refused",
        "",
        "they are for the library that nodemon watches with; see watch.poll",
    ),
    TheirKey(
        "signal",
        Form.TEXT,
        "SIGUSR2",
        "better",
        "exit.signal",
        "without it SIGTERM, which programs expect; sent when the new version listens",
    ),
    TheirKey("events.start", Form.TEXT, "", "same", "build.post", "when the new version serves"),
    TheirKey(
        "events.restart", Form.TEXT, "", "same", "build.post", "when the new version serves; for the first one, too"
    ),
    TheirKey("events.quit", Form.TEXT, "", "same", "dev.at_exit", ""),
    TheirKey("events.crash", Form.TEXT, "", "refused", "", f"a crash is started again, after growing waits; {_SHOWN}"),
    TheirKey(
        "events.exit",
        Form.TEXT,
        "",
        "refused",
        "",
        "the next save starts a program again that has ended without an error",
    ),
    TheirKey("events.log", Form.TEXT, "", "refused", "", "midair logs -f --json follows them"),
    TheirKey("restartable", Form.ANY, "rs", "better", "", "the key r, without Enter"),
    TheirKey("verbose", Form.FLAG, False, "same", "log.level", "debug"),
    TheirKey("quiet", Form.FLAG, False, "same", "log.level", "errors alone; the program's own output stays"),
    TheirKey("colours", Form.FLAG, True, "refused", "", "colours are for terminals; NO_COLOR=1 turns them off"),
    TheirKey("stdin", Form.FLAG, True, "refused", "", _NOT_ITS_OWN),
    TheirKey("stdout", Form.FLAG, True, "refused", "", "what the program prints is shown"),
    TheirKey(
        "runOnChangeOnly",
        Form.FLAG,
        False,
        "refused",
        "",
        "the first version is started at once: nothing else serves",
    ),
    TheirKey("exitCrash", Form.FLAG, False, "refused", "", "midair dev goes on: the next save may be better"),
    TheirKey(
        "spawn",
        Form.FLAG,
        False,
        "refused",
        "",
        "not needed: nothing is started through a shell that did not have to be",
    ),
    TheirKey("dump", Form.FLAG, False, "refused", "", "midair config shows every setting and where it came from"),
)


def by_name() -> dict[str, TheirKey]:
    return {key.name: key for key in NODEMON_KEYS}
