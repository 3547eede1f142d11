"""What a release brings beside the code: man pages, the list of what it is built on, its entry in the changelog."""
