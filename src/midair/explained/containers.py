"""Containers."""

from __future__ import annotations

from midair.explained.explanation import Explanation, Step

TITLE = "Containers"

EXPLANATIONS = (
    Explanation(
        code="container-unwritable",
        summary="A container's file cannot be written, or read, there.",
        exits=(1,),
        happened="`midair container` could not write one of its files, or read the one there; the message has the path and why.",
        serves="Nothing was changed, unless a path that was said before was written.",
        causes=("The folder is somebody else's.", "A folder has the name of the file."),
        do=(
            Step(
                "Write them into another folder.",
                ("midair container --write DIR",),
            ),
        ),
        see=("containers.md",),
    ),
    Explanation(
        code="no-port",
        summary="The port that the service is asked at is not known.",
        exits=(2,),
        happened="A pod is asked at a TCP port, and `bind` names none: neither the manifests' ports nor a Service can be written.",
        serves="Nothing was changed.",
        causes=(
            'The program binds by itself (`listener = "lent"`), and its port is found out when it runs.',
            "The service listens on Unix sockets alone.",
        ),
        do=(
            Step(
                'Write the port down: `bind = "0.0.0.0:8000"` in midair.toml. A program that binds by itself gets that socket.',
                ("midair container --kubernetes",),
            ),
        ),
        see=("kubernetes.md", "commands.md"),
    ),
)
