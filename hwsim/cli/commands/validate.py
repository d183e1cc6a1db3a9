"""``hwsim validate``: measured systems simulated, with the error of every figure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import Json, PartsFolder, print_json, use_parts
from hwsim.errors import ScenarioError

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="SUITE…", help="Suites; without, all but those that take long.", show_default=False),
]


def validate(
    names: Names = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="PATH", help="A file or folder of the suite's format.")
    ] = None,
    json: Json = False,
    folder: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Where validation.md and .html go (reports).")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="All measured points; without it large suites take a fixed sample.")
    ] = False,
    groups: Annotated[bool, typer.Option("--groups", help="Also a line per model, device and engine.")] = False,
    parts: PartsFolder = None,
) -> int:
    """Simulate the measured cases of SUITE… and print how far off they are; without --data all of HWSIM_DATA."""
    from hwsim.cli.progress import progress_bar
    from hwsim.study.points import teller
    from hwsim.study.scorecard import lines, page
    from hwsim.study.validation import select
    from hwsim.study.validation import validate as validated

    use_parts(parts)
    select(names or [])
    if data is not None and not data.exists():
        raise ScenarioError.of("no such file or folder", where="--data", got=str(data))
    if data is not None and len(names or []) != 1:
        raise ScenarioError.of("is for one suite", where="--data", expected="hwsim validate SUITE --data PATH")
    with progress_bar("validate") as bar:
        results = validated(names or [], data, bar or teller("validate"), sensitivity=data is None, full=full)
    if json:
        print_json([result.to_json() for result in results])
    else:
        print("\n".join(lines(results, groups=groups)))
    target = folder if folder is not None else Path("reports") if not names and data is None else None
    if target is not None:
        command = " ".join(
            ["hwsim validate", *(names or []), *(["--data", str(data)] if data else []), *(["--full"] if full else [])]
        )
        for written in page(results, command).write(target, "validation"):
            print(f"written {written}", file=sys.stderr)
    return 0


PART = validate
