"""What a deployment may be refused for, before the service is touched."""

from __future__ import annotations

import errno

from midair.errors import ApplicationError, UsageError, WorldError


class NoRoot(UsageError):
    """It is not known where to: there are no release folders here, and nothing says where they should be."""

    code = "deploy-nowhere"
    hint = 'say --to /srv/shop (it gets releases/, current and shared/), or write root = "/srv/shop" under [deploy]'


class SourceUnusable(UsageError):
    """What should be deployed is not there, or is nothing that can be deployed."""

    code = "deploy-source"
    hint = (
        "a folder, a git checkout with --ref, a .tar, .tar.gz or .zip archive, or - for a tar stream on standard input"
    )


class UnsafeSource(SourceUnusable):
    """The source holds something that leads out of it or is no file: a link to elsewhere, a device, a name with `..`."""

    code = "deploy-unsafe"
    hint = "leave it out with `ignore` under [deploy]; what outlives releases belongs into `shared`"


class UnknownRelease(UsageError):
    """There is no whole release of that name."""

    code = "deploy-unknown-release"
    hint = "midair deploy --list shows those that are there"


class Elsewhere(WorldError):
    """The service that runs does not run in ROOT/current, so it would not see the new release."""

    code = "deploy-elsewhere"


class Updating(WorldError):
    """The service is in the middle of an update: which release `current` should name is open until it ends."""

    code = "deploy-updating"
    hint = "deploy again when it has ended (midair status), or end it with midair rollback"


class NoRoom(WorldError):
    """The disk has not enough room for another release. Nothing was changed."""

    code = "deploy-no-room"
    hint = "make room (df -h and df -i show where), or keep fewer releases (`keep` under [deploy])"


class FoldersUnusable(WorldError):
    """The release folders, or what should be deployed, cannot be read or written by whoever deploys."""

    code = "deploy-folders"
    hint = "deploy as the user whose folders these are"


class SharedMissing(WorldError):
    """A file that outlives releases is neither in the release nor in ROOT/shared yet."""

    code = "deploy-shared"


class BuildFailed(ApplicationError):
    """The release's environment could not be made, or a line of `prepare` failed. The new folder is gone, the service as it was."""

    code = "deploy-build"


def unwritable(what: str, exc: OSError) -> WorldError:
    """The error for what could not be written; ``what`` says so, without the reason."""
    where = f": {exc.filename}" if exc.filename else ""
    is_full = exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return (NoRoom if is_full else FoldersUnusable)(f"{what}: {exc.strerror}{where}")
