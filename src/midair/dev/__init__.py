"""The developer's loop: what a change on disk leads to, and what the developer sees of it."""
