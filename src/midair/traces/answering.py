"""Whether a collector is there: an export of nothing, which every one of them takes. Blocking; without OpenTelemetry."""

from __future__ import annotations

import urllib.error
import urllib.request

from midair.traces.destination import Destination, read_headers

WITHIN_S = 2.0


class _Stays(urllib.request.HTTPRedirectHandler):
    """A key is sent to whom it is for, and to nobody whom they name."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def why_not(destination: Destination, within_s: float = WITHIN_S) -> str:
    """Why the collector would not take spans now; empty: it would."""
    try:
        headers = {**read_headers(destination.headers), "content-type": "application/x-protobuf"}
    except OSError as exc:
        return f"a header cannot be read: {exc.filename}: {exc.strerror}"
    request = urllib.request.Request(destination.url, data=b"", headers=headers, method="POST")
    try:
        with urllib.request.build_opener(_Stays).open(request, timeout=within_s):
            return ""
    except urllib.error.HTTPError as exc:
        with exc:
            return f"it answers {exc.code} {exc.reason}".rstrip()
    except urllib.error.URLError as exc:
        reason = exc.reason
        return str(getattr(reason, "strerror", None) or reason)
    except (OSError, ValueError) as exc:
        return str(exc) or type(exc).__name__
