"""``hwsim compare``: a run beside what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import Json, Sets, print_json
from hwsim.errors import ScenarioError


def compare(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a scenario to be run.")],
    measured: Annotated[
        Path | None,
        typer.Option(
            help="Result of vLLM, SGLang, AIPerf or GuideLLM, or a CSV metric,value,unit.", show_default=False
        ),
    ] = None,
    sets: Sets = None,
    json: Json = False,
) -> int:
    """Print measured, simulated, error and likely cause for every figure of a benchmark client."""
    from hwsim.study.bench import read_bench
    from hwsim.study.compare import compare as compared
    from hwsim.study.compare import text

    if measured is None:
        raise ScenarioError.of("nothing to compare with", where="hwsim compare", expected="--measured FILE")
    bench = read_bench(measured)
    summary = _summary(run, sets or [])
    lines = compared(summary, bench)
    if json:
        print_json({"tool": bench.tool, "lines": [line.to_json() for line in lines], "refused": bench.refused})
    else:
        print("\n".join(text(lines, bench)))
    return 0


def _summary(run: Path, sets: list[str]) -> dict[str, object]:
    """The summary of a kept run, or of a scenario simulated now."""
    if run.is_dir():
        from hwsim.export.run_folder import read_run_folder

        if sets:
            raise ScenarioError.of("is for a scenario, not for a run that is over", where="-s")
        return read_run_folder(run)[0]
    from hwsim.scenario.load import load
    from hwsim.scenario.run import run as simulate

    return simulate(load(run, sets), record="off").summary


PART = compare
