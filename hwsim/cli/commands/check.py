"""``hwsim check``: is the scenario well formed, does it fit, and what could it reach at best?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli.options import Files, Json, PartsFolder, Sets, print_json, use_parts
from hwsim.errors import FitError, HwsimError, ScenarioError


def check(
    files: Files = None,
    sets: Sets = None,
    json: Json = False,
    parts: PartsFolder = None,
    model: Annotated[
        str | None, typer.Option("-m", "--model", help="Without a file: list the nodes that hold this model.")
    ] = None,
) -> int:
    """Check FILE…: valid, fits, how many sequences at which context, least TTFT and TPOT; or with -m, where it fits."""
    from hwsim.scenario.load import load

    use_parts(parts)
    if model is not None:
        return _nodes(model, files, sets or [], json)
    if not files:
        raise ScenarioError.of("no file is given", where="hwsim check", expected="scenario files, or -m MODEL")
    codes = [0]
    for file in files:
        try:
            scenario = load(file, sets or [])
            # What decides whether it fits is dear to import, and a scenario that does not load needs none of it.
            from hwsim.scenario.check import check as checked

            outcome = checked(scenario)
        except HwsimError as error:
            if len(files) == 1:
                raise
            print("\n".join(f"error: {line}" for line in str(error).splitlines()), file=sys.stderr)
            codes.append(error.exit_code)
            continue
        if json:
            print_json(outcome.to_json(), indent=None if len(files) > 1 else 2)
        else:
            start = [f"{file}:"] if len(files) > 1 else []
            print("\n".join([*start, *(f"  {line}" if start else line for line in outcome.lines())]))
        for problem in outcome.problems:
            print(f"cannot serve: {problem}", file=sys.stderr)
            codes.append(FitError.exit_code)
    return max(codes)


def _nodes(model: str, files: list[Path] | None, sets: list[str], json: bool) -> int:
    """The nodes that hold the model, cheapest first; on standard error how many do not."""
    from hwsim.scenario.nodes import places

    if files:
        raise ScenarioError.of(
            "is for a check without a file", where="-m", expected="-s model.like=ID to change a file"
        )
    found, refused = places(model, sets)
    if json:
        print_json({"model": model, "nodes": [place.to_json() for place in found], "refused": refused})
    elif found:
        print(f"{'node':<22}{'GPUs used':<26}{'KV tokens':>12}{'least TPOT':>12}{'usd/h':>10}")
        for place in found:
            gpus = f"{place.tensor_parallel_size} of {place.gpus} {place.gpu}"
            price = "no price" if place.usd_per_hour is None else f"{place.usd_per_hour:.2f}"
            print(f"{place.node:<22}{gpus:<26}{place.kv_tokens:>12,}{place.least_tpot_ms:>9.2f} ms{price:>10}")
    if not json:
        print(f"{len(found)} of {len(found) + len(refused)} nodes hold {model}", file=sys.stderr)
        for node, reason in refused.items() if not found else ():
            print(f"  {node}: {reason}", file=sys.stderr)
    return 0 if found else FitError.exit_code


PART = check
