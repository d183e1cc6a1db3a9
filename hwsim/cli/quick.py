"""A scenario from a few options, for a run without a file; it can be printed as the YAML that does the same."""

from __future__ import annotations

import re
from typing import Any

from hwsim.errors import Problem, ScenarioError
from hwsim.units import parse


def quick_scenario(
    model: str | None,
    node: str | None,
    *,
    rate: str | None = None,
    input_tokens: str | None = None,
    output_tokens: str | None = None,
    requests: int | None = None,
    tensor_parallel_size: int = 1,
    trace: str | None = None,
) -> dict[str, Any]:
    """The mapping of a scenario that serves ``model`` on one ``node``; raises ``ScenarioError`` for what lacks."""
    problems = []
    if not model:
        problems.append(Problem("no model is given", "-m", expected="a model id, such as meta-llama/Llama-3.1-8B"))
    if not node:
        problems.append(Problem("no node is given", "-n", expected="a node, such as dgx-h100"))
    if trace is None and rate is None:
        problems.append(Problem("nothing arrives", "--rate", expected="--rate 10/s or --trace NAME"))
    workload: dict[str, Any] = {"trace": trace} if trace is not None else {"requests": requests or 1000}
    if trace is not None and requests is not None:
        workload["first"] = requests
    if rate is not None and trace is not None:
        problems.append(Problem("a trace has its own rate", "--rate", expected="-s workload.rate_scale=2"))
    if rate is not None:
        _checked("--rate", rate, "1/s", problems)
        workload["arrivals"] = {"kind": "poisson", "rate": rate}
    for option, key, text in (
        ("--input", "input_tokens", input_tokens),
        ("--output", "output_tokens", output_tokens),
    ):
        if trace is None:
            workload[key] = int(_checked(option, text or "512", "tokens", problems))
        elif text is not None:
            problems.append(Problem("a trace has its own lengths", option, expected=f"no {option} beside --trace"))
    if problems:
        raise ScenarioError(problems)
    return {
        "name": _name(str(model), str(node)),
        "model": model,
        "system": {"node": node},
        "serve": {"tensor_parallel_size": tensor_parallel_size, "replicas": 1},
        "workload": workload,
    }


def _checked(option: str, text: str, dimension: str, problems: list[Problem]) -> float:
    try:
        return parse(text, dimension)
    except ValueError as error:
        problems.append(Problem(str(error), option))
        return 0


def _name(model: str, node: str) -> str:
    words = re.sub(r"[^a-z0-9.]+", "-", model.rsplit("/", 1)[-1].lower()).strip("-.")
    return f"{words}-on-{re.sub(r'[^a-z0-9]+', '-', node.lower()).strip('-')}"


def as_yaml(mapping: dict[str, Any]) -> str:
    """The mapping as plain YAML."""
    import yaml

    return yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, default_flow_style=False)
