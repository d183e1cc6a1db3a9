"""The scenario that a ``vllm serve`` command describes, on a node that the command does not name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hwsim.cli.new import Wish
from hwsim.errors import ScenarioError

_NODE = "dgx-h100"
_WORKLOAD: dict[str, Any] = {
    "requests": 1000,
    "arrivals": {"kind": "poisson", "rate": "10 /s"},
    "input_tokens": 1024,
    "output_tokens": 256,
}


def scenario_text(wish: Wish) -> str:
    """YAML with the command's settings; what it leaves open is named in comments."""
    import yaml

    from hwsim.cli.launch.vllm_command import read
    from hwsim.scenario.load import load

    assert wish.from_vllm is not None
    command = read(wish.from_vllm)
    tree: dict[str, Any] = {"hwsim": 1, "name": wish.name}
    model = {path.partition(".")[2]: value for path, value in command.settings.items() if path.startswith("model.")}
    tree["model"] = model["like"] if set(model) == {"like"} else model
    tree["system"] = {"node": wish.node or _NODE}
    serve = {path.partition(".")[2]: value for path, value in command.settings.items() if path.startswith("serve.")}
    tree["serve"] = {"engine": "vllm", **serve}
    tree["workload"] = _WORKLOAD
    try:
        load(tree)
    except ScenarioError as error:
        raise ScenarioError([replace(problem, where="--from-vllm") for problem in error.problems]) from None
    shown = " ".join(wish.from_vllm.split())
    notes = [f"# From: {shown[:300]}"]
    notes += [f"# Not simulated: {', '.join(command.unmodelled)}"] if command.unmodelled else []
    notes += [f"# Without effect on speed: {', '.join(command.plain)}"] if command.plain else []
    if wish.node is None:
        notes.append(f"# The command does not say where it runs: {_NODE} is a guess, and so is the workload.")
    else:
        notes.append("# The command does not say what arrives: the workload is a guess.")
    text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110)
    return "\n".join(notes) + "\n" + text
