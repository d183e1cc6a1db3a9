"""``hwsim compare``: a run beside what was measured."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import Json, Sets, print_json
from hwsim.errors import ScenarioError


def compare(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a scenario to be run.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="[OTHER]", help="With --uncertainty: another scenario.", show_default=False)
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(
            help="Result of vLLM, SGLang, AIPerf or GuideLLM, or a CSV metric,value,unit.", show_default=False
        ),
    ] = None,
    uncertainty: Annotated[
        int | None, typer.Option(min=2, max=1000, metavar="N", help="Intervals from N seeds and N draws of the laws.")
    ] = None,
    sets: Sets = None,
    json: Json = False,
) -> int:
    """Put a run beside a measured one, figure by figure with the likely cause; or scenarios with their error bars."""
    if uncertainty is not None and measured is None:
        return _uncertain([path for path in (run, other) if path is not None], uncertainty, sets or [], json)
    if other is not None or uncertainty is not None:
        raise ScenarioError.of(
            "cannot be combined", where="hwsim compare", expected="--measured FILE or --uncertainty N"
        )
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


def _uncertain(paths: list[Path], count: int, sets: list[str], json: bool) -> int:
    """Headline figures of one or two scenarios with intervals; of two also in how many draws the second is better."""
    from hwsim.cli.progress import progress_bar
    from hwsim.scenario.load import load
    from hwsim.study.points import teller
    from hwsim.study.uncertainty import better, intervals, sampled

    scenarios = [load(path, sets) for path in paths]
    with progress_bar("uncertainty") as bar:
        found = sampled(scenarios, count, bar or teller("uncertainty"))
    data = []
    for scenario, (own, seeds, laws) in zip(scenarios, found, strict=True):
        rows = intervals(own, seeds, laws)
        data.append({"scenario": scenario.name, "figures": [asdict(row) for row in rows]})
        if not json:
            print(f"{scenario.name}: 80 % intervals over {count} seeds and {count} draws of the laws")
            for row in rows:
                ends = (f"{low:.4g} to {high:.4g}" for low, high in (row.sampling, row.model))
                print(f"  {row.metric:<30} {row.value:>10.4g} {row.unit:<9} seeds {next(ends)}; laws {next(ends)}")
    wins = {}
    if len(found) == 2:
        for name in found[0][0]:
            won, of = better(found[0][2], found[1][2], name)
            if of:
                wins[name] = {"second_better": won, "draws": of}
                if not json:
                    print(f"{name}: {scenarios[1].name} is better in {won} of {of} draws")
    if json:
        print_json({"scenarios": data, "comparison": wins})
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
