"""The keys of Air's ``.air.toml``: what each is, and what becomes of it here. ``docs/air.md`` is made from this list."""

from __future__ import annotations

from midair.config.theirs import Form, TheirKey

COMMON = ("pre_cmd", "cmd", "post_cmd", "bin", "entrypoint", "full_bin", "args_bin")
"""Keys of ``[build]`` that ``[build.linux]``, ``[build.darwin]`` and ``[build.windows]`` may have as well."""
PLATFORMS = ("linux", "darwin", "windows")

_PROXY = (
    "midair has no proxy: pages are asked for at the application's own port, and a program that midair does not serve itself has "
    "a script line for its templates"
)
_COLOUR = "colours are fixed; NO_COLOR=1 turns them off"

AIR_KEYS: tuple[TheirKey, ...] = (
    TheirKey(
        "root",
        Form.TEXT,
        ".",
        "same",
        "watch.paths",
        "commands run where midair dev was typed, as with Air; / and a home folder are refused",
    ),
    TheirKey(
        "tmp_dir",
        Form.TEXT,
        "tmp",
        "same",
        "watch.ignore",
        "never watched; made before a build command of your own runs",
    ),
    TheirKey("testdata_dir", Form.TEXT, "testdata", "same", "watch.ignore", "never watched"),
    TheirKey(
        "env_files",
        Form.LIST,
        (),
        "same",
        "env_files",
        "read anew for each version, for the program; what midair dev inherited wins; a missing file is no error",
    ),
    TheirKey(
        "build.cmd",
        Form.TEXT,
        "go build -o ./tmp/main .",
        "better",
        "build.build",
        "a newer save stops a build that runs and starts over; its errors are shown in the page as well",
    ),
    TheirKey(
        "build.bin",
        Form.TEXT,
        "./tmp/main",
        "better",
        "command",
        "the new version listens before the old one is told to go",
    ),
    TheirKey("build.entrypoint", Form.LINE, (), "better", "command", "as bin"),
    TheirKey("build.full_bin", Form.TEXT, "", "better", "command", "as bin"),
    TheirKey("build.args_bin", Form.LIST, (), "same", "command", "behind the program, as the shell would split them"),
    TheirKey(
        "build.pre_cmd",
        Form.LIST,
        (),
        "better",
        "build.pre",
        "one that fails keeps the old version, whatever stop_on_error says",
    ),
    TheirKey("build.post_cmd", Form.LIST, (), "same", "dev.at_exit", "once, when midair dev ends"),
    TheirKey(
        "build.rerun",
        Form.FLAG,
        False,
        "better",
        "dev.rerun",
        "a program that crashes is started again in either case, after growing waits",
    ),
    TheirKey(
        "build.rerun_delay",
        Form.MS,
        500,
        "refused",
        "",
        "a program that ends is started again at once, then after waits that grow while it goes on ending",
    ),
    TheirKey(
        "build.stop_on_error",
        Form.FLAG,
        False,
        "better",
        "",
        "a failed build neither stops the old program (true) nor starts it again (false): it serves on, and pages show the error",
    ),
    TheirKey(
        "build.send_interrupt",
        Form.FLAG,
        False,
        "better",
        "exit.signal",
        "the old program is always asked first: by SIGTERM (false) or SIGINT (true), and when the new one listens",
    ),
    TheirKey(
        "build.kill_delay",
        Form.DELAY,
        0,
        "same",
        "drain.timeout, exit.timeout",
        "with send_interrupt, as in Air; 0 is 2 s here",
    ),
    TheirKey(
        "build.log",
        Form.TEXT,
        "build-errors.log",
        "refused",
        "",
        "no file: all that a failing command has printed is on the terminal and in the page, not only its exit status",
    ),
    TheirKey("build.include_ext", Form.LIST, ("go", "tpl", "tmpl", "html"), "same", "watch.extensions", ""),
    TheirKey("build.include_dir", Form.LIST, (), "same", "watch.paths", ""),
    TheirKey("build.include_file", Form.LIST, (), "same", "watch.paths", "counts whatever its ending is"),
    TheirKey(
        "build.exclude_dir",
        Form.LIST,
        ("assets", "tmp", "vendor", "testdata"),
        "same",
        "watch.ignore",
        "not watched at all; folders that begin with a dot are not, either",
    ),
    TheirKey("build.exclude_file", Form.LIST, (), "same", "watch.ignore", ""),
    TheirKey(
        "build.exclude_regex",
        Form.LIST,
        ("_test.go",),
        "same",
        "watch.ignore_regex",
        "read as Python's re, which has all of RE2 that people use in a path",
    ),
    TheirKey("build.exclude_unchanged", Form.FLAG, False, "better", "", "always: content decides, not the clock"),
    TheirKey("build.follow_symlink", Form.FLAG, False, "better", "", "always: folders behind links are watched, too"),
    TheirKey(
        "build.ignore_dangerous_root_dir",
        Form.FLAG,
        False,
        "same",
        "",
        "",
    ),
    TheirKey(
        "build.poll",
        Form.FLAG,
        False,
        "better",
        "watch.poll",
        "false is auto: files are compared where the kernel tells nothing",
    ),
    TheirKey("build.poll_interval", Form.MS, 0, "same", "watch.poll_interval", "never less than 500 ms, as in Air"),
    TheirKey(
        "build.delay",
        Form.MS,
        1000,
        "better",
        "watch.delay, watch.delay_max",
        "Air's 1000 is not waited for: a change counts after 10 ms of quiet, and a burst is one build. Another value is how "
        "long it has to be quiet",
    ),
    TheirKey(
        "log.time", Form.FLAG, False, "refused", "", "each line says how long a thing took; midair logs has the times"
    ),
    TheirKey("log.main_only", Form.FLAG, False, "better", "", "always: a save is one line"),
    TheirKey("log.silent", Form.FLAG, False, "same", "log.level", "errors alone; the program's own output stays"),
    TheirKey("color.main", Form.TEXT, "magenta", "refused", "", _COLOUR),
    TheirKey("color.watcher", Form.TEXT, "cyan", "refused", "", _COLOUR),
    TheirKey("color.build", Form.TEXT, "yellow", "refused", "", _COLOUR),
    TheirKey("color.runner", Form.TEXT, "green", "refused", "", _COLOUR),
    TheirKey("color.app", Form.TEXT, "", "refused", "", "it has no effect in Air, either"),
    TheirKey("color.mode", Form.TEXT, "", "refused", "", "colours are for terminals (auto); NO_COLOR=1 is never"),
    TheirKey("screen.clear_on_rebuild", Form.FLAG, False, "same", "dev.clear", ""),
    TheirKey(
        "screen.keep_scroll",
        Form.FLAG,
        True,
        "same",
        "",
        "what has scrolled away stays; Air cannot be told otherwise, either",
    ),
    TheirKey("misc.clean_on_exit", Form.FLAG, False, "same", "dev.at_exit", "rm -rf of tmp_dir"),
    TheirKey("misc.startup_banner", Form.TEXT, None, "refused", "", "there is no banner"),
    TheirKey("proxy.enabled", Form.FLAG, False, "refused", "", _PROXY),
    TheirKey("proxy.proxy_port", Form.NUMBER, 0, "refused", "", _PROXY),
    TheirKey("proxy.app_port", Form.NUMBER, 0, "refused", "", _PROXY),
    TheirKey(
        "proxy.app_start_timeout",
        Form.MS,
        0,
        "refused",
        "",
        "pages are told when the new version answers, not when it was started",
    ),
)

RULES: tuple[TheirKey, ...] = (
    TheirKey("name", Form.TEXT, "", "same", "watch.action.name", ""),
    TheirKey("cmd", Form.TEXT, "", "same", "watch.action.run", ""),
    TheirKey("include_dir", Form.LIST, (), "same", "watch.action.paths", ""),
    TheirKey("include_ext", Form.LIST, (), "same", "watch.action.paths", ""),
    TheirKey("include_file", Form.LIST, (), "same", "watch.action.paths", ""),
    TheirKey("exclude_regex", Form.LIST, (), "same", "watch.action.ignore_regex", ""),
    TheirKey("delay", Form.MS, 1000, "better", "", "as build.delay"),
)
"""Of one ``[[build.rules]]``."""


def by_name() -> dict[str, TheirKey]:
    return {key.name: key for key in AIR_KEYS}
