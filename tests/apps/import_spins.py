"""Never finishes its import, and never sleeps: a loop that somebody is just writing."""

VERSION = "0"

while True:
    pass
