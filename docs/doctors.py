"""The page of ``midair doctor``: every finding as it is said, made from the checks and from the cases that test them."""

from __future__ import annotations

from docs.markdown import markdown_table, plain
from tests.doctor.cases import CASES

from midair.doctor.examination import CHECKS

PAGE = """\
# What midair doctor looks for

```console
$ midair doctor
shop: nothing runs; this is what a start here would find

configuration
  warning: bake.for is 0: an update is committed at the cut-over  [bake-off]
    why: a version that fails under real requests is not taken back by itself
    fix: write bake = "10s" in midair.toml, then midair reload
…
```

It looks at limits, permissions, the kernel, systemd, the container, the configuration and the application, changes nothing, and
says of each thing that is not right what is so, why it matters, and what to type. It works before the first start, where it judges
what a start from here would find, and beside a running service, where limits, unit and memory are those of the service. What a
running service was given on its command line and by variables counts; what the file says counts as it is on disk now.

| level | means | exit code |
| --- | --- | --- |
| problem | something fails, or will at the next update, stop or restart | 1 |
| warning | it works until something else goes wrong | 0 |
| note | worth knowing; may be meant so | 0 |

When all is well it says so in one line. `--all` shows what was looked at, `--json` gives it to scripts (codes are stable),
`--no-import` leaves the application alone, `--unit shop.service` judges a unit that does not run yet.

## All findings

"""


def page() -> str:
    text, group = PAGE, ""
    for check in CHECKS.values():
        if check.group != group:
            group = check.group
            rows = [row for each in CHECKS.values() if each.group == group for row in _rows(each.code)]
            text += f"### {group.capitalize()}\n\n"
            text += markdown_table(("code", "level", "what it says, for example", "why", "what to do"), rows) + "\n"
    return text


def _rows(code: str) -> list[tuple[str, ...]]:
    found = [(case, CHECKS[code].judge(case.facts)) for case in CASES if case.code == code]
    return [
        (f"`{code}`", finding.level, plain(finding.what), plain(finding.why), plain(finding.fix))
        for _, finding in found
        if finding
    ]
