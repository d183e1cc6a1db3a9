"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwsim.errors import ScenarioError
from hwsim.part import Parts

Files = Annotated[list[Path] | None, typer.Argument(metavar="FILE…", help="Scenario files.", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option("-s", "--set", metavar="PATH=VALUE", help="Change one value, such as serve.max_num_seqs=64."),
]
PartsFolder = Annotated[
    list[Path] | None, typer.Option("--parts", metavar="DIR", help="A folder with parts of your own.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def use_parts(folders: list[Path] | None) -> None:
    """Make the parts of these folders known."""
    for folder in folders or ():
        Parts.add_folder(folder)


def one_of(option: str, value: str, known: tuple[str, ...]) -> str:
    """The value, or a ``ScenarioError`` that lists what it could be."""
    from hwsim.errors import nearest

    if value not in known:
        raise ScenarioError.of(
            "is not one of its values",
            where=option,
            got=repr(value),
            expected=" | ".join(known),
            nearest=nearest(value, known),
        )
    return value


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """One JSON value on standard output; figures nobody can give must be null, never NaN."""
    import json

    print(json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False))
