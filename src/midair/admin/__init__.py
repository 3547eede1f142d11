"""What is served beside the service, by a child of its own: figures for Prometheus, a page for people."""
