"""The typer application: one command per file of ``hwsim/cli/commands``, in the order people meet them."""

from __future__ import annotations

from typing import Annotated

import typer

from hwsim.cli.ending import guarded
from hwsim.part import Parts

_ORDER = ("run", "check", "show", "new", "schema", "export")


def _version(wanted: bool) -> None:
    if wanted:
        from hwsim import __version__

        print(f"hwsim {__version__}")
        raise typer.Exit


def build(asked: str = "") -> typer.Typer:
    """The application: with the command that is ``asked`` for alone, which starts sooner, or with all commands."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def top(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
        ] = False,
    ) -> None:
        """Simulate LLM inference on machines that exist or might: YAML scenario in, throughput and latency out."""

    parts = Parts("hwsim.cli.commands")
    names = [asked] if asked in parts else parts.names()
    for name in sorted(names, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)):
        command = parts.get(name)
        app.command(name)(guarded(command))
    return app
