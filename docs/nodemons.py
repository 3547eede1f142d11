"""The page for people who come from nodemon: each key of its configuration, and what becomes of it."""

from __future__ import annotations

from docs.airs import keys_table, verdicts

from midair.config.nodemon_keys import NODEMON_KEYS

PAGE = """\
# From nodemon

```console
$ midair dev
```

In a folder with a `nodemon.json`, or with `nodemonConfig` in `package.json`, and no `midair.toml`, that is all: the file is
read as it is, and the script goes on calling `listen(3000)` as it always did. Without a script it is found as nodemon finds it:
`main` of `package.json`, `index.js`, the line of `npm start`. On the command line:

| nodemon | here |
| --- | --- |
| `nodemon app.js` | `midair dev -- node app.js` |
| `nodemon -e ts --exec 'npm run build && node dist/a.js'` | `midair dev -e ts --exec 'npm run build' -- node dist/a.js` |
| `nodemon --watch src --delay 2.5` | `midair dev --watch src --delay 2.5s -- node app.js` |
| `rs` and Enter | the key `r` |

What is different then:

- **The port never closes.** nodemon ends the program, then starts the next. Here the next one is started beside it and gets
  [the same listening socket](commands.md#a-program-that-binds-its-own-port) when it binds; the old one is told to leave when the
  new one listens. A version that throws before it listens is refused, and the old one serves on.
- **A save is not waited for.** nodemon waits for a second; here 10 ms of quiet are enough.
- **SIGTERM, not SIGUSR2**, tells a program to leave, unless `signal` says otherwise.
- **Compile and serve are two things.** `--exec` is a line that has to succeed before anything is started (`[build]`), and what
  stands after `--` is the program. A line that does both, as `exec` in a `nodemon.json` often does, works as well: the old program
  serves while it runs.
- **Content decides.** `touch`, or saving the same bytes, starts nothing.

A `nodemon.json` in the home folder is not read.

"""


def page() -> str:
    return PAGE + verdicts(NODEMON_KEYS, "nodemon") + keys_table(NODEMON_KEYS, "nodemon")
