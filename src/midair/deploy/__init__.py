"""Release folders: a new one beside the one that serves, ``current`` switched, the service updated, and back if it is refused.

``plan.py`` decides, from ``facts.py``; ``deployer.py`` performs, with ``source.py``, ``tree.py`` and ``environment.py``. What the
folders are is ``release/folders.py``'s.
"""
