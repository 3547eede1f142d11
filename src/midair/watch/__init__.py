"""Changes on disk: what changed, by whom it was ignored, when it has settled."""
