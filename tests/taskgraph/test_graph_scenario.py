"""Graph scenarios: closed forms, every error with its place, one result whatever is recorded, pictures and exports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.errors import FitError, ScenarioError
from hwsim.scenario.check import check
from hwsim.scenario.load import load
from hwsim.scenario.run import run

SYSTEM = {"node": {"like": "workstation", "gpu": {"like": "RTX-4090", "pcie": {"bandwidth": "20 GB/s"}}}}


def _scenario(tasks: dict, **graph) -> dict:
    return {"hwsim": 1, "name": "test", "system": SYSTEM, "graph": {"tasks": tasks, **graph}}


def _loop(count: int, *, ahead: int = 2) -> dict:
    """Copy 20 MB (1 ms) into one of two buffers, then 3 ms of work that frees it."""
    return {
        "layer": {
            "loop": count,
            "ahead": ahead,
            "tasks": {
                "load": {"copy": "20 MB", "from": "dram", "to": "gpu0", "holds": {"slots": 1}},
                "work": {"wait": "3 ms", "after": "load", "releases": "load"},
            },
        }
    }


def test_a_double_buffer_hides_all_copies_but_the_first() -> None:
    result = run(load(_scenario(_loop(100), buffers={"slots": 2}, steps="100")))
    assert result.summary["simulated_seconds"] == pytest.approx(0.301, rel=1e-4)
    assert result.summary["step_time_ms"] == pytest.approx(3.01, rel=1e-4)
    assert result.summary["memory"]["slots"]["peak_places"] == 2
    assert result.summary["streams"]["host"]["busy_share"] == pytest.approx(0.3 / 0.301, rel=1e-3)


def test_one_buffer_serialises() -> None:
    result = run(load(_scenario(_loop(100), buffers={"slots": 1})))
    assert result.summary["simulated_seconds"] == pytest.approx(0.4, rel=1e-3)
    assert result.summary["streams"]["dram-gpu0"]["stalls"]["memory slots"] == pytest.approx(297 / 400, rel=1e-2)


def test_the_result_does_not_depend_on_what_is_recorded() -> None:
    digests = {
        run(load(_scenario(_loop(200), buffers={"slots": 2})), record=record).digest
        for record in ("off", "requests", "full")
    }
    assert len(digests) == 1


def test_bytes_in_are_bytes_out_on_every_link() -> None:
    result = run(load(_scenario(_loop(50), buffers={"slots": 2})))
    moved = result.summary["links"]["dram-gpu0"]["bytes"]
    assert moved == 50 * 20_000_000
    for name in ("dram", "gpu0.pcie.h2d", "gpu0.hbm"):
        assert result.summary["capacities"][name]["amount"] == moved


def test_two_copies_over_one_link_take_as_long_as_one_of_both() -> None:
    copy = {"copy": "20 MB", "from": "dram", "to": "gpu0"}
    streams = {"a": "gpu0", "b": "gpu0"}
    tasks = {"one": {**copy, "stream": "a"}, "two": {**copy, "stream": "b"}}
    result = run(load(_scenario(tasks, streams=streams)))
    assert result.summary["simulated_seconds"] == pytest.approx(2e-3, rel=1e-3)
    assert result.summary["bottleneck"]["gpu0.pcie.h2d"] == pytest.approx(1.0)


def test_loops_nest_and_amounts_follow_counters() -> None:
    tasks = {
        "token": {
            "loop": 3,
            "tasks": {
                "layer": {"loop": "layers", "tasks": {"work": {"wait": "(token + 1) * unit", "after": "work@-1"}}},
                "sample": {"wait": "unit", "after": "layer"},
            },
        }
    }
    result = run(load(_scenario(tasks, parameters={"layers": 4, "unit": "1 ms"})))
    assert result.summary["simulated_seconds"] == pytest.approx((4 * 6 + 3) * 1e-3)


def test_a_name_of_a_loop_stands_for_all_of_its_tasks() -> None:
    tasks = {
        "layer": {
            "loop": 3,
            "ahead": 8,
            "tasks": {"slow": {"wait": "5 ms", "stream": "a"}, "fast": {"wait": "1 ms", "stream": "b"}},
        },
        "end": {"wait": "1 ms", "stream": "b", "after": "layer"},
    }
    result = run(load(_scenario(tasks, streams={"a": {}, "b": {}})))
    assert result.summary["simulated_seconds"] == pytest.approx(16e-3)


ERRORS = {
    "cycle": (
        {"a": {"wait": "1 ms", "after": "b"}, "b": {"wait": "1 ms", "after": "a"}},
        "is in a cycle; got a -> b -> a",
    ),
    "unknown task": ({"load": {"wait": "1 ms"}, "b": {"wait": "1 ms", "after": "laod"}}, "did you mean load?"),
    "unknown device": ({"a": {"compute": "1 GFLOP", "at": "gpu7"}}, "unknown device; got gpu7"),
    "unknown stream": ({"a": {"wait": "1 ms", "stream": "x"}}, "unknown stream; got x"),
    "free without allocation": ({"a": {"wait": "1 ms"}, "b": {"free": "a"}}, "frees what was never allocated"),
    "double free": (
        {"a": {"allocate": {"gpu0": "1 GB"}}, "b": {"free": "a"}, "c": {"free": "a"}},
        "frees what b frees too (a double free)",
    ),
    "free in a loop": (
        {"a": {"allocate": {"gpu0": "1 GB"}}, "l": {"loop": 2, "tasks": {"b": {"free": "a"}}}},
        "outside of it (a double free)",
    ),
    "no route": ({"a": {"copy": "1 GB", "from": "gpu0", "to": "gpu9"}}, "unknown device; got gpu9"),
    "nothing": ({"a": {"after": "a"}}, "does nothing; expected one of compute, copy"),
    "two things": ({"a": {"wait": "1 ms", "compute": "1 GFLOP"}}, "compute and wait at once"),
    "no number": ({"a": {"wait": "x * 2"}}, "needs a number that nobody gives; got x"),
    "no arithmetic": ({"a": {"wait": "__import__('os')"}}, "neither a quantity nor arithmetic"),
    "future": ({"a": {"wait": "1 ms", "after": "a@1"}}, "looks ahead, or nowhere"),
    "memory": ({"a": {"allocate": {"hbm": "1 GB"}}}, "names neither a memory nor a buffer"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_is_wrong(name: str) -> None:
    tasks, text = ERRORS[name]
    with pytest.raises(ScenarioError) as caught:
        check(load(_scenario(tasks)))
    assert text in str(caught.value)


def test_errors_come_all_at_once_with_their_places(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        "system: {node: {like: workstation, gpu: RTX-4090}}\n"
        "graph:\n"
        "  tasks:\n"
        "    load: {copy: 1 GB, from: drum, to: gpu0}\n"
        "    work: {compute: 1 GFLOP, at: gpu0, after: loud}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        check(load(file))
    assert [str(problem.where).rpartition("/")[2] for problem in caught.value.problems] == [
        "bad.yaml:4:30",
        "bad.yaml:5:47",
    ]
    assert main(["run", str(file)]) == 2


def test_a_graph_without_enough_memory_says_how_much_would_do(tmp_path: Path) -> None:
    tasks = {
        "layer": {
            "loop": 4,
            "tasks": {
                "load": {"copy": "1 GB", "from": "dram", "to": "gpu0", "holds": {"gpu0": "1 GB"}},
                "use": {"wait": "1 ms", "after": "load", "releases": "load@-1"},
            },
        }
    }
    # every layer's weights stay until the next layer has been used
    with pytest.raises(FitError) as caught:
        run(load(_scenario(tasks, memory={"gpu0": "1.5 GB"})))
    text = str(caught.value)
    for part in ("load on dram-gpu0", "memory gpu0", "load 1 GB", "at least 2 GB"):
        assert part in text, text
    result = run(load(_scenario(tasks, memory={"gpu0": "2 GB"})))
    assert result.summary["memory"]["gpu0"]["owners_at_peak"] == {"load": 2_000_000_000}


def test_collectives_take_all_links() -> None:
    system = {"node": "dgx-h100"}
    ranks = [f"gpu{i}" for i in range(8)]
    tasks = {"sum": {"collective": "all_reduce", "size": "1 GB", "ranks": ranks}}
    result = run(load({"system": system, "graph": {"tasks": tasks}, "name": "sum"}))
    assert result.summary["capacities"]["gpu5.nvlink"]["amount"] == pytest.approx(2 * 7 / 8 * 1e9)
    assert result.summary["simulated_seconds"] >= 2 * 7 / 8 * 1e9 / 450e9


def test_screen_report_and_timeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).parents[2]
    (tmp_path / "scenarios").symlink_to(root / "scenarios")
    assert main(["check", "scenarios/graphs/layer-streaming.yaml"]) == 0
    assert main(["run", "scenarios/graphs/layer-streaming.yaml"]) == 0
    assert re.search(r"ssd\d? takes 99", capsys.readouterr().out.replace("\n", " "))
    page = (tmp_path / "runs" / "latest" / "report.html").read_text()
    assert "<svg" in page and "Critical path" in page and "compute ×" in page
    for format_, file in (("perfetto", "t.pftrace"), ("chrome", "t.json")):
        assert main(["export", "runs/latest", "--to", format_, "-o", file]) == 0
        assert b"load" in (tmp_path / file).read_bytes()
