"""``hwsim run``: simulate scenarios and leave a run folder for each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.cli.ending import MISSED
from hwsim.cli.options import Files, Json, PartsFolder, Sets, one_of, print_json, use_parts
from hwsim.errors import ScenarioError

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario
    from hwsim.scenario.result import Result


def run(
    files: Files = None,
    sets: Sets = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed; otherwise that of the scenario.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Run folder (runs/NAME-HASH).", show_default=False),
    ] = None,
    json: Json = False,
    record: Annotated[str, typer.Option(help="What the run keeps: off, requests or full.")] = "requests",
    window: Annotated[str | None, typer.Option(metavar="FROM:TO", help="Time kept in full: 0:60s.")] = None,
    single_step: Annotated[bool, typer.Option("--single-step", help="Simulate every step by itself.")] = False,
    report: Annotated[str, typer.Option(help="Write report.html: on or off.")] = "on",
    open_: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    assert_: Annotated[bool, typer.Option("--assert", help="End with 1 if an SLO or assertion is missed.")] = False,
    ideal: Annotated[
        str | None,
        typer.Option(help="Resources given infinite speed: hbm, tensor, nvlink, launch, host, pcie0, ssd."),
    ] = None,
    parts: PartsFolder = None,
    model: Annotated[str | None, typer.Option("-m", "--model", help="Without a file: the model.")] = None,
    node: Annotated[str | None, typer.Option("-n", "--node", help="Without a file: the node.")] = None,
    rate: Annotated[str | None, typer.Option(help="Without a file: Poisson rate, such as 10/s.")] = None,
    input_: Annotated[str | None, typer.Option("--input", help="Without a file: prompt tokens.")] = None,
    output: Annotated[str | None, typer.Option("--output", help="Without a file: answer tokens.")] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="Without a file: number of requests.")] = None,
    tp: Annotated[int, typer.Option("--tp", min=1, help="Without a file: tensor_parallel_size.")] = 1,
    trace: Annotated[str | None, typer.Option(help="Without a file: a request trace.")] = None,
    yaml: Annotated[bool, typer.Option("--yaml", help="Without a file: print the scenario, do not run it.")] = False,
) -> int:
    """Simulate FILE…, or without a file: -m MODEL -n NODE --rate 10/s --input 512 --output 512."""
    use_parts(parts)
    one_of("--record", record, ("off", "requests", "full"))
    one_of("--report", report, ("on", "off"))
    kept = _window(window)
    if ideal is not None:
        sets = [*(sets or []), f"system.ideal=[{ideal}]"]
    given = {"-m": model, "-n": node, "--rate": rate, "--input": input_, "--output": output, "--trace": trace}
    quick = [option for option, value in given.items() if value is not None]
    scenarios: list[Scenario] = []
    if files:
        if quick or requests is not None or yaml:
            used = (quick + ["--requests"] * (requests is not None) + ["--yaml"] * yaml)[0]
            raise ScenarioError.of("is for a run without a file", where=used, expected="-s PATH=VALUE to change a file")
        scenarios = _load_all(files, sets or [])
    else:
        scenario = _quick(model, node, rate, input_, output, requests, tp, trace, sets or [], yaml)
        if scenario is None:
            return 0
        scenarios = [scenario]
    missed = False
    for scenario in scenarios:
        if scenario.spec.study is not None:
            print(f"note: {scenario.name}: study is left out; this is the base of its points", file=sys.stderr)
        result = _simulate(scenario, seed, record, kept, single_step)
        target = folder / result.folder_name() if folder is not None and len(scenarios) > 1 else folder
        saved = result.save(target, report=report == "on")
        _point_latest(saved, folder)
        if json:
            print_json(result.summary, indent=None if len(scenarios) > 1 else 2)
        else:
            _print_screen(result.screen())
        print(f"saved in {saved}", file=sys.stderr)
        for miss in result.misses if assert_ else ():
            print(f"missed: {scenario.name}: {miss}", file=sys.stderr)
            missed = True
        if open_ and report == "on":
            _open(saved / "report.html")
    return MISSED if missed else 0


def _load_all(files: list[Path], sets: list[str]) -> list[Scenario]:
    """All scenarios, or the problems of all files at once."""
    from hwsim.scenario.load import load

    scenarios, problems = [], []
    for file in files:
        try:
            scenarios.append(load(file, sets))
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return scenarios


def _quick(
    model: str | None,
    node: str | None,
    rate: str | None,
    input_: str | None,
    output: str | None,
    requests: int | None,
    tp: int,
    trace: str | None,
    sets: list[str],
    only_yaml: bool,
) -> Scenario | None:
    """The scenario that the options stand for; its YAML is printed for the next time."""
    from hwsim.cli.quick import as_yaml, quick_scenario
    from hwsim.scenario.load import load

    mapping = quick_scenario(
        model,
        node,
        rate=rate,
        input_tokens=input_,
        output_tokens=output,
        requests=requests,
        tensor_parallel_size=tp,
        trace=trace,
    )
    scenario = load(mapping, sets)
    text = as_yaml(scenario.tree)
    if only_yaml:
        print(text, end="")
        return None
    print(f"# The same as a file (--yaml prints only this):\n{text}", file=sys.stderr)
    return scenario


def _simulate(
    scenario: Scenario, seed: int | None, record: str, window: tuple[float, float] | None, single_step: bool
) -> Result:
    from hwsim.cli.progress import progress_bar
    from hwsim.scenario.run import run as simulate

    with progress_bar(scenario.name) as progress:
        return simulate(scenario, seed=seed, record=record, window=window, single_step=single_step, progress=progress)


def _window(text: str | None) -> tuple[float, float] | None:
    """``0:60s`` as two times in seconds; a bare first number has the unit of the second."""
    if text is None:
        return None
    from hwsim.units import parse

    start, colon, end = text.partition(":")
    unit = end.strip().lstrip("0123456789.+-eE_ ")
    try:
        if not colon:
            raise ValueError("there is no colon; expected FROM:TO, such as 0:60s")
        parts = (part if part.strip()[-1:].isalpha() else f"{part or 0} {unit}" for part in (start, end))
        times = [float(parse(part, "s")) for part in parts]
        if times[1] <= times[0]:
            raise ValueError("it ends before it starts; expected FROM:TO, such as 0:60s")
    except ValueError as error:
        raise ScenarioError.of(str(error), where="--window", got=repr(text)) from None
    return times[0], times[1]


def _print_screen(screen: Any) -> None:
    """Plain text as it is, anything else through rich, which knows how wide the terminal is."""
    if isinstance(screen, str):
        print(screen)
        return
    from rich.console import Console

    Console().print(screen)


def _point_latest(saved: Path, given: Path | None) -> None:
    """``runs/latest`` leads to the newest run; where links cannot be made there is none."""
    if given is not None:
        return
    link, fresh = saved.parent / "latest", saved.parent / f".latest-{saved.name}"
    try:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(saved.name, target_is_directory=True)
        fresh.replace(link)
    except OSError:
        fresh.unlink(missing_ok=True)


def _open(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        print(f"no browser here; the report is {page}", file=sys.stderr)


PART = run
