"""Does not compile."""

from good import app

VERSION = "0"

def broken(:
    return app
