"""What is on disk and does not serve: may it be tried as it is? Whoever offers an update asks here, so that all offer the same."""

from __future__ import annotations

from midair.control.words import StatusReport

TOLD = {
    "": "midair reload updates to it",
    "refused": "it was refused before",
    "rolled back": "it was rolled back before",
    "left": "somebody went back from it",
}
"""What is to be known of such a version, by ``trouble_with_disk``."""


def trouble_with_disk(report: StatusReport) -> str:
    """Why what is on disk is not to be tried as it is: ``refused``, ``rolled back``, ``left`` if somebody went back from it;
    empty: nothing speaks against it."""
    if report.on_disk in ("", report.version):
        return ""
    last = next((each for each in report.last if each.target == report.on_disk), None)
    if last and last.result != "committed":
        return {"refused": "refused", "rolled-back": "rolled back"}.get(last.result, "")
    commits = [(each.source, each.target) for each in report.last if each.result == "committed"]
    there, back = (report.version, report.on_disk), (report.on_disk, report.version)
    # Without the way there it would be an older version that somebody has put back on the disk.
    return "left" if commits[:1] == [back] and there in commits else ""
