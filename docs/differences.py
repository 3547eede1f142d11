"""The page about how midair differs from other servers: made from the list that the differential tests hold."""

from __future__ import annotations

from docs.markdown import markdown_table
from tests.differential.http_corpus import CORPUS
from tests.differential.http_differences import differences
from tests.differential.peers_http import OURS, PEERS

PAGE = """\
# How midair differs from other servers

{count} exchanges, plain, split, pipelined, malformed and hostile, go to midair and to four other servers in one test
(`tests/differential/test_http.py`): uvicorn 0.54 with httptools and with h11, hypercorn 0.18, granian 2.8, each with its
defaults and one application that tells what it got. In {same} of them all five do the same. The others are listed here with
the reason for what midair does; a difference that is not listed fails the test, and so does one that is listed and is none
any more.

An outcome reads: what the application got → the answers, and what became of the connection. *kept*: a next request is served;
*closed*: the server has closed it; *waits*: it waits for more. `+` and `-` name header lines that the application got there and not
here, or the other way round. What exactly was sent stands in `tests/differential/http_corpus.py`, by the same names.

"""


def page() -> str:
    found = differences()
    differing = sum(len(each.cases) for each in found)
    text = PAGE.replace("{count}", str(len(CORPUS))).replace("{same}", str(len(CORPUS) - differing))
    for each in found:
        text += f"## {each.title}\n\n{each.reason}\n\n"
        rows = [
            (
                case,
                _code(outcomes[OURS]),
                "; ".join(f"{who}: {_code(came)}" for who, came in outcomes.items() if who != OURS),
            )
            for case, outcomes in each.cases.items()
        ]
        text += markdown_table(("what is sent", "midair", "others"), rows) + "\n"
    return text + f"Servers that a row does not name do as midair does; there are {', '.join(PEERS)}.\n"


def _code(text: str) -> str:
    return f"`{text}`"
