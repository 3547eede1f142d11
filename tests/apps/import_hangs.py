"""Never finishes its import."""

import threading

VERSION = "0"

threading.Event().wait()
