"""``hwsim diff``: two runs side by side, figures with their ratios and the settings that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwsim.cli.options import Json, print_json
from hwsim.errors import ScenarioError


def diff(
    one: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/latest.")],
    two: Annotated[Path, typer.Argument(metavar="RUN", help="Another one.")],
    every: Annotated[bool, typer.Option("--all", help="All figures, not only the usual ones.")] = False,
    json: Json = False,
) -> None:
    """Compare two run folders: every figure of both, the ratio, and what was set differently."""
    from hwsim.metrics.difference import changes, differences
    from hwsim.view.difference import lines

    left, right = (_read(path) for path in (one, two))
    rows = differences(left[0], right[0], every=every)
    changed = changes(left[1], right[1])
    if json:
        print_json(
            {
                "runs": [left[0]["name"], right[0]["name"]],
                "metrics": {name: {"values": [a, b], "ratio": ratio} for name, a, b, ratio in rows},
                "changed": {path: [a, b] for path, a, b in changed},
            }
        )
    else:
        print("\n".join(lines(left[0], right[0], rows, changed)))


def _read(path: Path) -> tuple[dict[str, Any], str]:
    from hwsim.export.run_folder import read_resolved, read_run_folder

    if path.suffix in (".yaml", ".yml"):
        raise ScenarioError.of("is a scenario", where=str(path), expected=f"a run of it: hwsim run {path}")
    return read_run_folder(path)[0], read_resolved(path)


PART = diff
