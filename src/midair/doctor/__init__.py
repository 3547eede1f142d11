"""What is not right around a service, and what to type about it.

``gather.py`` asks the machine, systemd and the service; ``facts.py`` is what it found. Everything else judges facts and touches
nothing: a check a function, in the file of its group.
"""
