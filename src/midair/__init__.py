"""midair: change the engine mid-air. New code, same connections.

The command line is the front door (``midair run``, ``midair reload``). What an application may import from here is
listed in ``__all__``; everything else is the inside and may move.
"""

__version__ = "0.1.0"

__all__ = ["__version__", "after_fork", "before_fork", "worker_exited"]

TYPE_CHECKING = False  # typing's own would be an import, and ``midair --version`` pays for each
if TYPE_CHECKING:
    from midair.hooks import after_fork, before_fork, worker_exited


def __getattr__(name: str) -> object:
    if name in __all__:
        from midair import hooks

        found: object = getattr(hooks, name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
