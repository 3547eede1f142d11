"""What every error code means, and what to do about it: texts, for ``midair explain`` and for the pages in ``docs/errors``."""
