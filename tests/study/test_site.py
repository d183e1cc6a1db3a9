"""A site's host times from benchmark files: the simulator's own figures give back what they were made with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwsim.errors import ScenarioError
from hwsim.scenario.load import load
from hwsim.study.calibrate.site import fit_site
from hwsim.study.points import values

SCENARIO: dict[str, Any] = {
    "hwsim": 1,
    "name": "site",
    "model": {"like": "meta-llama/Llama-3.1-8B"},
    "system": {"node": "hgx-h100"},
    "serve": {"engine": "vllm-0.11"},
    "workload": {
        "requests": 8,
        "arrivals": {"kind": "closed", "concurrency": 1},
        "input_tokens": 100,
        "output_tokens": 10,
    },
}


def measured(folder: Path, clients: int, prompt: int) -> Path:
    """A vLLM result file as a site with other host times would write it."""
    sets = [
        "serve.site.host_base=4 ms",
        "serve.site.server_before=30 ms",
        "workload.requests=8",
        f"workload.input_tokens={prompt}",
        f"workload.arrivals={{kind: closed, concurrency: {clients}}}",
    ]
    found = values(load(SCENARIO, sets), ["ttft.mean", "tpot.mean"])
    path = folder / f"c{clients}_{prompt}.json"
    record = {
        "mean_ttft_ms": found["ttft.mean"].number,
        "mean_tpot_ms": found["tpot.mean"].number,
        "num_prompts": 8,
        "max_concurrency": clients,
        "total_input_tokens": 8 * prompt,
        "total_output_tokens": 80,
    }
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def test_known_constants_are_found_again(tmp_path: Path) -> None:
    files = [measured(tmp_path, *load) for load in ((1, 100), (2, 100), (1, 2000))]
    found = fit_site(SCENARIO, files, ["server_before", "host_base"])
    assert found.constants["server_before"] == pytest.approx(30e-3, rel=0.15)
    assert found.constants["host_base"] == pytest.approx(4e-3, rel=0.15)
    for _, _, figure, plain, fitted, left in found.rows:
        assert left is not None
        assert abs(fitted / figure - 1) < 0.03 and abs(left / figure - 1) < 0.06
        assert abs(fitted / figure - 1) <= abs(plain / figure - 1) + 1e-9
    assert load({**SCENARIO, "serve": {**SCENARIO["serve"], "site": dict.fromkeys(found.constants, "1 ms")}})
    assert "server_before" in found.document() and len(found.text()) == 2 + 1 + 6


def test_bad_input_is_named(tmp_path: Path) -> None:
    path = measured(tmp_path, 1, 100)
    with pytest.raises(ScenarioError, match="unknown constant"):
        fit_site(SCENARIO, [path], ["host_bose"])
    with pytest.raises(ScenarioError, match="one to three"):
        fit_site(SCENARIO, [path], ["host_base", "host_per_row", "server_each", "server_after"])
    path.write_text('{"mean_ttft_ms": 0, "output_throughput": 5}', encoding="utf-8")
    with pytest.raises(ScenarioError, match="holds no latency"):
        fit_site(SCENARIO, [path], ["host_base"])
