"""``hwsim explain``: where the time of a run went, and what a faster part would bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.cli.options import Json, print_json
from hwsim.errors import ScenarioError

if TYPE_CHECKING:
    from hwsim.metrics.explanation import Explanation

MOST_RESOURCES = 6


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/latest.")],
    request: Annotated[str | None, typer.Option(metavar="ID", help="One request of a serving run.")] = None,
    step: Annotated[int | None, typer.Option(metavar="N", min=0, help="One engine step, or step of a graph.")] = None,
    replica: Annotated[int, typer.Option(min=0, help="The replica whose step it is.")] = 0,
    slowest: Annotated[int | None, typer.Option(metavar="N", min=1, help="The slowest requests, or tasks.")] = None,
    json: Json = False,
) -> None:
    """Say where the time of RUN went by resource, along the critical path, and the gain at +10 % and at infinity."""
    from hwsim.export.run_folder import read_run_folder
    from hwsim.metrics.graph_summary import is_graph

    if sum(value is not None for value in (request, step, slowest)) > 1:
        raise ScenarioError.of(
            "ask for one thing at a time", where="hwsim explain", expected="--request, --step or --slowest"
        )
    summary, manifest, tables = read_run_folder(run)
    if is_graph(summary):
        if request is not None:
            what = "this is the run of a task graph, which has no requests"
            raise ScenarioError.of(what, where=str(run), expected="no option, --step N or --slowest N")
        found = [_graph(run, summary, manifest, tables, slowest, step)]
    else:
        found = _serving(run, tables, request, step, replica, slowest)
    if json:
        print_json([item.to_json() for item in found] if len(found) > 1 else found[0].to_json())
        return
    for item in found:
        print("\n".join(_lines(item)))


def _table(run: Path, tables: Mapping[str, Any], name: str) -> Any:
    if name not in tables:
        raise ScenarioError.of(f"the run kept no table {name}", where=str(run), expected="a run with --record requests")
    return tables[name]


def _graph(
    run: Path,
    summary: Mapping[str, Any],
    manifest: Mapping[str, Any],
    tables: Mapping[str, Any],
    longest: int | None,
    step: int | None,
) -> Explanation:
    from hwsim.export.run_folder import resolve
    from hwsim.metrics.explanation import explain_graph
    from hwsim.scenario.graph.whatif import MOST_TASKS, gains, unfolded
    from hwsim.scenario.load import load

    spans, folds = _table(run, tables, "spans"), manifest.get("folds") or ()
    scenario = load(resolve(run) / "scenario.yaml")
    whole, slack = unfolded(scenario), {}
    if whole is not None:
        (spans, slack), folds = whole, ()
    elif step is not None:
        what = "the graph has too many tasks to keep those of one step"
        raise ScenarioError.of(what, where="--step", expected=f"at most {MOST_TASKS:,} tasks")
    found = explain_graph(summary, spans, folds, longest=longest, step=step)
    found.slack = slack if step is None else {}
    names = [name for name in found.resources if name not in ("time", "latency")][:MOST_RESOURCES]
    found.gains = gains(scenario, names)
    found.method = "the graph run again with the resource sped up"
    return found


def _serving(
    run: Path, tables: Mapping[str, Any], request: str | None, step: int | None, replica: int, slowest: int | None
) -> list[Explanation]:
    from hwsim.metrics import explanation

    steps = _table(run, tables, "steps")
    if step is not None:
        return [explanation.explain_step(steps, step, replica)]
    requests = _table(run, tables, "requests")
    if request is not None:
        rows = [explanation.request_row(requests, request)]
    else:
        rows = explanation.slowest(requests, slowest or 1)
    if not rows:
        raise ScenarioError.of("no request was completed", where=str(run))
    return [explanation.explain_request(requests, steps, row) for row in rows]


def _lines(found: Explanation) -> Iterator[str]:
    from hwsim.view._numbers import milliseconds, share

    def time(seconds: float) -> str:
        return milliseconds(seconds * 1e3)

    whole = found.seconds or 1.0
    yield f"{found.what}: {time(found.seconds)}"
    for title, parts in (("by phase", found.phases), ("by resource", found.resources)):
        yield f"  {title}"
        for name, seconds in list(parts.items())[:10]:
            yield f"    {name:<24}{time(seconds):>12}{share(seconds / whole):>9}"
    if found.path:
        yield "  longest on the path"
        for part in found.path:
            times = f", {part['times']:,.0f} times" if part["times"] > 1.5 else ""
            yield f"    {part['name']:<24}{time(part['seconds']):>12}  {part['resource']} on {part['track']}{times}"
    for stream, reasons in found.stalls.items():
        most = sorted(reasons.items(), key=lambda item: -item[1])[:3]
        text = ", ".join(f"{reason} {share(part)}" for reason, part in most if part > 5e-4)
        if text:
            yield f"  {stream} waits for {text} of the time"
    if found.slack:
        yield "  slack: how much later its tasks could end"
        yield f"    {'':<24}{'least':>12}{'mean':>12}"
        for name, spare in list(found.slack.items())[:10]:
            yield f"    {name:<24}{time(spare['least']):>12}{time(spare['mean']):>12}"
    if found.gains:
        yield f"  time saved by a faster resource ({found.method})"
        yield f"    {'':<24}{'+10 %':>12}{'infinite':>12}"
        for name, gain in found.gains.items():
            yield f"    {name:<24}{share(gain['plus_10']):>12}{share(gain['infinite']):>12}"


PART = explain
