"""Generation 0 as a release: midair's own application in midair's own interpreter, whatever state the project is in.

The core decides when it serves (``core/standin.py``). Nothing of it depends on the project: not its environment, its
interpreter, or its folder. What stays as in the settings is what clients meet: addresses, TLS, limits.
"""

from __future__ import annotations

import os
import platform
import sys

import msgspec

import midair
from midair.config.schema import Hooks, Settings, Worker
from midair.core.ids import STAND_IN
from midair.core.standin import FINGERPRINT
from midair.release.environment import build_environment, of_generation
from midair.release.survey import Survey
from midair.release.values import Fingerprint, Interpreter

APPLICATION = "midair.browser.standin:app"


def settings_of_stand_in(settings: Settings) -> Settings:
    """Those of the service, with another application and nothing that belongs to the project's own."""
    # asyncio's own loop: uvloop's sets a listener that it watches non-blocking, which is a command's, too.
    serve = msgspec.structs.replace(
        settings.serve, interface="asgi", lifespan="off", loop="asyncio", access_log=False, root_path="", headers=()
    )
    return msgspec.structs.replace(
        settings,
        app=APPLICATION,
        factory=False,
        command=(),
        main="",
        arguments=(),
        workers=1,
        env={},
        env_files=(),
        zygote="never",
        serve=serve,
        worker=Worker(hang_warn_s=settings.worker.hang_warn_s, hang_timeout_s=settings.worker.hang_timeout_s),
        hooks=Hooks(),
        traces=msgspec.structs.replace(settings.traces, requests=False),
        process=(),
    )


def survey_of_stand_in(settings: Settings, ambient: dict[str, str]) -> Survey:
    """What a look at the disk would give for it, without one. settings: its own; ambient: what midair was started with."""
    return Survey(
        folder=settings.runtime_dir,  # Where nothing lies that could be imported in the place of anything.
        version="",
        fingerprint=Fingerprint(value=FINGERPRINT, code=FINGERPRINT, parts=()),
        environment=of_generation(build_environment(settings, ambient), "", STAND_IN),
        interpreter=Interpreter(
            path=sys.executable,
            real=os.path.realpath(sys.executable),
            chosen_by="midair",
            version=platform.python_version(),
            implementation=sys.implementation.name,
            midair=midair.__version__,
            import_path=(),
            prefix=sys.prefix,
            stamp="",
        ),
    )
