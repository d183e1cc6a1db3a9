"""``hwsim reproduce``: published results put beside simulated ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.ending import MISSED
from hwsim.cli.options import Json, PartsFolder, Sets, print_json, use_parts
from hwsim.errors import ScenarioError

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="PAPER|FILE…", help="Papers by id, or files of claims.", show_default=False),
]


def reproduce(
    names: Names = None,
    all_: Annotated[bool, typer.Option("--all", help="All papers; also writes reports/papers.md and .html.")] = False,
    sets: Sets = None,
    json: Json = False,
    folder: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write papers.md and papers.html there.")
    ] = None,
    assert_: Annotated[bool, typer.Option("--assert", help="End with 1 if a test or a condition fails.")] = False,
    parts: PartsFolder = None,
) -> int:
    """Simulate the claims of PAPER… and print expected, simulated, error and verdict."""
    from hwsim.cli.progress import progress_bar
    from hwsim.study.points import teller
    from hwsim.study.reproduce.evaluate import reproduce as evaluated
    from hwsim.study.reproduce.paper import load_paper, locate, papers
    from hwsim.study.reproduce.report import lines, page

    use_parts(parts)
    if bool(names) == all_:
        known = ", ".join(papers())
        raise ScenarioError.of(
            "which papers?", where="hwsim reproduce", expected=f"--all, a file of claims, or some of {known}"
        )
    loaded, problems = [], []
    for path in papers().values() if all_ else [locate(name) for name in names or ()]:
        try:
            loaded.append(load_paper(path, sets or []))
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(problems)
    with progress_bar("reproduce") as bar:
        results = evaluated(loaded, bar or teller("reproduce"))
    if json:
        data = [
            {
                "paper": result.paper.id,
                "cite": result.paper.cite,
                "standing": result.standing,
                "scores": result.scores(),
                "claims": [outcome.to_json() for outcome in result.outcomes],
                "unscored": result.paper.unscored,
            }
            for result in results
        ]
        print_json(data)
    else:
        print("\n\n".join("\n".join(lines(result)) for result in results))
    target = folder if folder is not None else Path("reports") if all_ else None
    if target is not None:
        command = "hwsim reproduce " + ("--all" if all_ else " ".join(names or ()))
        for written in page(results, command).write(target, "papers"):
            print(f"written {written}", file=sys.stderr)
    bad = [o for result in results for o in result.outcomes if o.verdict in ("DISAGREES", "fails")]
    return MISSED if assert_ and bad else 0


PART = reproduce
