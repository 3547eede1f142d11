"""``midair completion``: the script that a shell needs to complete our words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from midair.cli.options import Service, service_options
from midair.errors import UsageError

INSTALL = {
    "bash": 'eval "$(midair completion bash)"  in ~/.bashrc',
    "zsh": 'eval "$(midair completion zsh)"  in ~/.zshrc',
    "fish": "midair completion fish > ~/.config/fish/completions/midair.fish",
}


@click.command
@click.argument("shell", type=click.Choice(list(INSTALL)))
@service_options
def command(service: Service, *, shell: str) -> int:
    """Print the completion script of SHELL.

    \b
    bash  eval "$(midair completion bash)"  in ~/.bashrc
    zsh   eval "$(midair completion zsh)"  in ~/.zshrc
    fish  midair completion fish > ~/.config/fish/completions/midair.fish
    """
    from midair.cli.app import midair

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"there is no completion for {shell}")
    script = kind(midair, {}, "midair", "_MIDAIR_COMPLETE").source()
    if service.show.as_json:
        service.show.json({"shell": shell, "script": script, "install": INSTALL[shell]})
    else:
        service.show.raw(script)
    return 0
