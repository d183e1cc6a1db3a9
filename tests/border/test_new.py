"""``hwsim new``: every file it writes is one that hwsim reads, and a fit has the statistics of its trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwsim.cli import main
from hwsim.part import Parts
from hwsim.scenario.load import load
from hwsim.workload.fit import fitted, regenerated
from hwsim.workload.trace import Trace, locate
from hwsim.workload.workload import Workload


@pytest.fixture(autouse=True)
def in_a_fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    before = list(Parts._extra)
    yield
    Parts._extra[:] = before


def written(spec: dict[str, object], path: Path) -> Trace:
    with path.open("w") as file:
        file.write("arrival_s,input_tokens,output_tokens\n")
        for chunk in Workload.from_spec(spec).chunks(5):
            rows = zip(chunk.arrival.tolist(), chunk.input_tokens.tolist(), chunk.output_tokens.tolist(), strict=True)
            file.writelines(f"{time / 1e12:.9f},{prompt},{output}\n" for time, prompt, output in rows)
    return Trace(path)


LENGTHS = {
    "input_tokens": {"kind": "lognormal", "mean": 1000, "p99": 6000},
    "output_tokens": {"kind": "lognormal", "mean": 200, "p99": 900},
    "correlation": -0.4,
}
SHAPES = {
    "poisson": {"kind": "poisson", "rate": "8 /s"},
    "gamma": {"kind": "gamma", "rate": "8 /s", "cv": 2.5},
    "ramp": {"kind": "ramp", "from": "1 /s", "to": "20 /s", "over": "1000 s"},
    "coarse": {"kind": "poisson", "rate": "8 /s", "grid": "2 s"},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_fit_finds_what_a_trace_was_drawn_from(shape: str, tmp_path: Path) -> None:
    spec, found = fitted(written({"requests": 8000, "arrivals": SHAPES[shape], **LENGTHS}, tmp_path / "t.csv"))
    assert spec["arrivals"]["kind"] == {"ramp": "piecewise", "coarse": "poisson"}.get(shape, shape)
    again = regenerated(spec, seed=1)
    assert again["requests"] == found["requests"]
    for key, tolerance in (("rate_per_s", 0.06), ("gap_cv", 0.1), ("dispersion_1s", 0.2)):
        assert again[key] == pytest.approx(found[key], rel=tolerance), key
    for side in ("input_tokens", "output_tokens"):
        assert again[side]["mean"] == pytest.approx(found[side]["mean"], rel=0.04)
        assert again[side]["p90"] == pytest.approx(found[side]["p90"], rel=0.06)
    assert again["rank_correlation"] == pytest.approx(-0.4, abs=0.04)


@pytest.mark.data
@pytest.mark.parametrize("name", ["azure2023_conv", "mooncake_conversation"])
def test_fits_of_real_traces(name: str, data_dir: Path) -> None:
    """Tolerances as docs/guides/workloads.md states them."""
    spec, found = fitted(Trace(locate(name, data_dir / "traces")))
    again = regenerated(spec, seed=3)
    for key in ("rate_per_s", "gap_cv", "dispersion_1s", "peak_over_mean_60s"):
        assert again[key] == pytest.approx(found[key], rel=0.1), key
    assert again["dispersion_60s"] == pytest.approx(found["dispersion_60s"], rel=0.25)
    for side in ("input_tokens", "output_tokens"):
        for statistic, tolerance in (("mean", 0.03), ("std", 0.05), ("p50", 0.03), ("p99", 0.08)):
            assert again[side][statistic] == pytest.approx(found[side][statistic], rel=tolerance)
    assert again["rank_correlation"] == pytest.approx(found["rank_correlation"], abs=0.03)
    if "prefix_hit_tokens" in found:
        assert again["prefix_hit_tokens"] == pytest.approx(found["prefix_hit_tokens"], abs=0.03)


def test_a_fitted_workload_is_a_file_to_extend(tmp_path: Path) -> None:
    written({"requests": 500, "arrivals": SHAPES["gamma"], **LENGTHS}, tmp_path / "t.csv")
    assert main(["new", "workload", "--fit", "t.csv"]) == 0
    text = (tmp_path / "t-like.yaml").read_text()
    (tmp_path / "s.yaml").write_text("extends: t-like.yaml\nsystem: {node: dgx-h100}\nmodel: gpt2\nserve: {}\n")
    assert load(tmp_path / "s.yaml").spec.workload is not None
    rows = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=1)
    assert not any(f"{time:.6f}" in text for time in rows[:, 0])


def test_a_new_device_passes_the_catalogues_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["new", "device", "My-GPU"]) == 0
    assert main(["new", "device", "My-H100", "--like", "h100-sxm"]) == 0
    for name in ("My-GPU", "my-h100"):
        spec = f"model: gpt2\nsystem: {{node: {{like: dgx-h100, gpu: {{like: {name}}}}}}}\nserve: {{}}\n"
        spec = spec.replace("gpt2", "meta-llama/Llama-3.1-8B")
        (tmp_path / "s.yaml").write_text(spec + "workload: {requests: 1, input_tokens: 1, output_tokens: 1}\n")
        assert main(["check", "s.yaml", "--parts", "parts"]) == 0
    assert "My-H100" in capsys.readouterr().out
    assert main(["show", "my-gpu", "--parts", "parts"]) == 0


@pytest.mark.parametrize(
    ("question", "workload"),
    [
        ("arrivals", "{arrivals: {kind: mine, rate: 10 /s}, input_tokens: 5, output_tokens: 5}"),
        (
            "lengths",
            "{arrivals: {kind: poisson, rate: 10 /s}, input_tokens: {kind: mine, low: 3, high: 9}, output_tokens: 5}",
        ),
    ],
)
def test_a_new_part_works_as_it_stands(question: str, workload: str, tmp_path: Path) -> None:
    from hwsim.scenario.schema.short import _models

    _models.cache_clear()
    assert main(["new", "policy", "mine", "--for", question]) == 0
    assert main(["show", question, "--parts", "parts"]) == 0
    part = Parts(f"hwsim.workload.{question}").module("mine")
    assert part.Parameters.model_fields["kind"].annotation.__args__ == ("mine",)
    import yaml

    (chunk,) = Workload.from_spec({"requests": 1000, **yaml.safe_load(workload)}).chunks(0)
    assert len(chunk) == 1000
    if question == "arrivals":
        assert 1000 / chunk.arrival[-1] * 1e12 == pytest.approx(10, rel=0.06)


def test_a_new_trace_format_is_known_by_its_head(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["new", "policy", "semicolons", "--for", "trace"]) == 0
    (tmp_path / "t.txt").write_text("# semicolons\n0;10;20\n1.5;3;4\n")
    assert main(["show", "t.txt", "--json", "--parts", "parts"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index("{") :])["requests"] == 2
    (tmp_path / "t.txt").write_text("# semicolons\n0;10;20\n1.5;3\n")
    assert main(["show", "t.txt", "--parts", "parts"]) == 2
    assert "t.txt:3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scenari", "x"], "did you mean scenario"),
        (["workload", "x"], "--fit TRACE"),
        (["scenario"], "has no name"),
        (["scenario", "../x"], "is not a name"),
        (["scenario", "x", "--fit", "y"], "is not for a scenario"),
        (["policy", "Not-A-Module"], "no name of a module"),
        (["policy", "x", "--for", "roter"], "did you mean router"),
        (["device", "x", "--like", "h100-sxn"], "H100-SXM"),
        (["workload", "--fit", "nothing-there"], "trace not found"),
    ],
)
def test_what_cannot_be_written(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not list(Path().rglob("*"))
