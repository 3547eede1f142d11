"""midair: change the engine mid-air. New code, same connections.

The command line is the front door (``midair run``, ``midair reload``). What an application may import from here is
listed in ``__all__``; everything else is the inside and may move.
"""

__version__ = "0.1.0"

_HOME = {
    "Upgrader": "library.upgrader",
    "after_fork": "hooks",
    "before_fork": "hooks",
    "Carried": "carried",
    "Held": "exclusion",
    "carry": "carried",
    "carry_on": "live",
    "draining": "live",
    "serve": "library.serve",
    "exclusive": "exclusion",
    "worker_exited": "hooks",
}
"""What an application may import from here, and where it is made."""
__all__ = [
    "Carried",
    "Held",
    "Upgrader",
    "__version__",
    "after_fork",
    "before_fork",
    "carry",
    "carry_on",
    "draining",
    "exclusive",
    "serve",
    "worker_exited",
]

TYPE_CHECKING = False  # typing's own would be an import, and ``midair --version`` pays for each
if TYPE_CHECKING:
    from midair.carried import Carried, carry
    from midair.exclusion import Held, exclusive
    from midair.hooks import after_fork, before_fork, worker_exited
    from midair.library.serve import serve
    from midair.library.upgrader import Upgrader
    from midair.live import carry_on, draining


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"midair.{home}"), name)
    return found
