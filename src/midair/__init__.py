"""midair: change the engine mid-air. New code, same connections.

The command line is the front door (``midair run``, ``midair reload``). What an application may import from here is
listed in ``__all__``; everything else is the inside and may move.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
