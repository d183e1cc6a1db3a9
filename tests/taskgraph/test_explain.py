"""Explanations: parts add up to the whole, folded as unfolded, gains are those of a faster machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.metrics.critical_path import critical_path
from hwsim.metrics.explanation import explain_graph, explain_request, explain_step
from hwsim.scenario.graph.whatif import gains, unfolded
from hwsim.scenario.load import load
from hwsim.scenario.run import run
from tests.taskgraph.test_graph_scenario import _loop, _scenario

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_the_critical_path_covers_the_makespan_folded_or_not(slots: int) -> None:
    scenario = load(_scenario(_loop(150), buffers={"slots": slots}))
    shares = []
    for record in ("requests", "full"):
        result = run(scenario, record=record)
        path = critical_path(result.table("spans"), result.manifest["folds"])
        assert sum(path.by_resource.values()) == pytest.approx(result.summary["simulated_seconds"], rel=1e-9)
        shares.append(path.shares())
    assert shares[0] == pytest.approx(shares[1], rel=1e-6)


def test_gains_are_those_of_a_faster_link() -> None:
    tasks = {"load": {"copy": "20 MB", "from": "dram", "to": "gpu0"}, "work": {"wait": "1 ms", "after": "load"}}
    scenario = load(_scenario(tasks))
    result = run(scenario)
    found = explain_graph(result.summary, result.table("spans"))
    assert found.resources["gpu0.pcie.h2d"] == pytest.approx(1e-3, rel=1e-3)
    gain = gains(scenario, ["gpu0.pcie.h2d", "dram"])
    assert gain["gpu0.pcie.h2d"]["plus_10"] == pytest.approx(0.5 * (1 - 1 / 1.1), rel=1e-3)
    assert gain["gpu0.pcie.h2d"]["infinite"] < 0.5  # the memory behind it is the next limit
    assert gain["dram"] == {"plus_10": 0.0, "infinite": 0.0}


def test_slack_is_how_much_later_a_task_may_end() -> None:
    tasks = {
        "short": {"copy": "20 MB", "from": "dram", "to": "gpu0"},
        "long": {"wait": "5 ms"},
        "last": {"wait": "1 ms", "after": ["short", "long"]},
    }
    scenario = load(_scenario(tasks))
    whole = run(scenario).summary["simulated_seconds"]
    found = unfolded(scenario)
    assert found is not None
    spans, slack = found
    copy = float(spans["end_s"][list(spans["name"]).index("short")])
    assert slack["gpu0.pcie.h2d"]["least"] == pytest.approx(5e-3 - copy, rel=1e-9)
    assert slack["time"] == {"least": 0.0, "mean": 0.0}
    later = tasks | {"short": {**tasks["short"], "copy": "99.9 MB"}}  # as late as its slack allows
    assert run(load(_scenario(later))).summary["simulated_seconds"] == pytest.approx(whole, rel=1e-6)


def test_slack_follows_memory_and_streams() -> None:
    found = unfolded(load(_scenario(_loop(20), buffers={"slots": 1})))
    assert found is not None
    assert all(least["least"] == 0.0 for least in found[1].values())  # one buffer: everything waits for everything


def test_a_step_of_a_graph() -> None:
    scenario = load(ROOT / "scenarios" / "graphs" / "layer-streaming.yaml")
    result, found = run(scenario), unfolded(scenario)
    assert found is not None
    parts = [explain_graph(result.summary, found[0], step=step) for step in range(4)]
    for part in parts:
        assert sum(part.resources.values()) == pytest.approx(part.seconds)
    whole = explain_graph(result.summary, found[0])
    assert sum(part.resources["ssd"] for part in parts) == pytest.approx(whole.resources["ssd"])


def test_requests_and_steps_add_up() -> None:
    result = run(load(ROOT / "scenarios" / "quickstart.yaml", ["workload.requests=50"]))
    requests, steps = result.table("requests"), result.table("steps")
    for row in (0, 17, 49):
        found = explain_request(requests, steps, row)
        assert sum(found.phases.values()) == pytest.approx(found.seconds)
        assert sum(found.resources.values()) == pytest.approx(found.seconds)
    step = explain_step(steps, 3)
    assert step.seconds > 0 and sum(step.resources.values()) == pytest.approx(step.seconds)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    assert main(["run", "scenarios/graphs/layer-streaming.yaml", "--report", "off"]) == 0
    capsys.readouterr()
    assert main(["explain", "runs/latest", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    drive = next(iter(found["resources"]))
    assert drive.startswith("ssd")
    assert found["gains"][drive.rstrip("0123456789")]["plus_10"] == pytest.approx(1 - 1 / 1.1, rel=0.02)
    assert main(["explain", "runs/latest", "--request", "1"]) == 2
    assert main(["explain", "runs/latest", "--step", "1"]) == 0
    assert main(["explain", "runs/latest", "--step", "4"]) == 2
    assert main(["run", "scenarios/quickstart.yaml", "-s", "workload.requests=50", "--report", "off"]) == 0
    assert main(["explain", "runs/latest", "--slowest", "2"]) == 0
    assert main(["explain", "runs/latest", "--request", "7", "--step", "1"]) == 2
    assert main(["explain", "runs/latest", "--request", "no"]) == 2
    assert main(["explain", "runs/latest", "--step", "99999999"]) == 2
