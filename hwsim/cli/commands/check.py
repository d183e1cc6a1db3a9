"""``hwsim check``: is the scenario well formed, does it fit, and what could it reach at best?"""

from __future__ import annotations

import sys

from hwsim.cli.options import Files, Json, PartsFolder, Sets, print_json, use_parts
from hwsim.errors import FitError, HwsimError, ScenarioError


def check(files: Files = None, sets: Sets = None, json: Json = False, parts: PartsFolder = None) -> int:
    """Check FILE…: valid, fits, how many sequences at which context, least TTFT and TPOT."""
    from hwsim.scenario.load import load

    use_parts(parts)
    if not files:
        raise ScenarioError.of("no file is given", where="hwsim check", expected="one or more scenario files")
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


PART = check
