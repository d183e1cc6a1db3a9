"""The report holds every figure, escapes what comes from outside, stays small, and draws in a browser."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.metrics.summary import summary
from hwsim.part import Parts
from hwsim.view._figure import Shown
from hwsim.view._series import binned, distribution, edges_of, sample
from hwsim.view.report import _for_script, report_html
from hwsim.view.screen import screen

from ..conftest import absent
from ..metrics.synthetic import RESOLVED, synthetic

MANIFEST = {"hwsim": "0.1.0", "python": "3.11.7", "packages": {"numpy": "2.0"}, "sources": []}
ASKED = {"fleet", "kv_tiers", "pools"}  # drawn only of runs that have what they show
NAMES = [name for name in Parts("hwsim.view.figures").names() if name not in ASKED]
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&<a href='javascript:x'>"


def page(count: int = 200, **options: Any) -> str:
    facts, tables, _ = synthetic(count, slo={"ttft_s": 0.1, "tpot_s": 0.02}, **options)
    return report_html(summary(facts, tables), tables, RESOLVED, MANIFEST)


def own(text: str) -> str:
    """The page without the plotting library."""
    start, end = text.index("</main>\n<script>"), text.index("</script>", text.index("</main>\n<script>"))
    return text[:start] + text[end:]


def figures(text: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" data-figure="figure-(\w+)">(.*?)</script>', text, re.DOTALL)
    return {name: json.loads(content) for name, content in found}


def test_every_figure_is_on_the_page_once() -> None:
    text = page(rejected=2)
    drawn = figures(text)
    assert sorted(drawn) == NAMES
    for name, content in drawn.items():
        assert content["data"], name
        assert text.count(f'id="figure-{name}"') == 1
    assert "plotly.js v" in text and text.count("</html>") == 1
    for word in (
        "requests/s",
        "TTFT p99",
        "TPOT p50",
        "SLO kept",
        "Scenario as resolved",
        "result digest sha256:",
    ):
        assert word in text
    assert '<span class="origin">  # synthetic.yaml:3</span>' in text
    assert "prompt of 9000 tokens is longer than max_model_len" in text


def pooled() -> tuple[dict[str, Any], dict[str, Any]]:
    """A run of two pools, each with one of two replicas."""
    facts, tables, _ = synthetic(60, replicas=2)
    blocks = facts["pools"]["serve"]["usable_blocks"] if facts.get("pools") else 8000
    shared = {"model": "m", "replicas": 1, "tensor_parallel_size": 4, "gpus_used": 4, "usable_blocks": blocks}
    facts["pools"] = {
        name: {**shared, "role": name, "group": name, "gpu": gpu, "first_replica": i, "busy_seconds_by_bound": busy}
        for i, (name, gpu, busy) in enumerate(
            [("prefill", "H100-SXM", {"tensor": 2.0}), ("decode", EVIL, {"hbm": 1.0, EVIL: 0.5})]
        )
    }
    return summary(facts, tables), tables


def test_pools_stand_side_by_side() -> None:
    found, tables = pooled()
    text = own(report_html(found, tables, RESOLVED, MANIFEST))
    drawn = figures(text)["pools"]
    assert drawn["data"][0]["y"] == ["prefill", "decode"]
    assert "What each pool does" in text and "1 × 4 H100-SXM" in text and "<img" not in text
    assert f"{found['pools']['prefill']['prefill_tokens'] / found['simulated_seconds']:,.0f}" in text
    busy = {trace["name"]: trace["x"] for trace in drawn["data"]}
    assert busy["compute"][0] == pytest.approx(found["pools"]["prefill"]["busy"]["tensor"], abs=1e-5)
    found["pools"]["decode"]["gpu"] = "H20"
    shown = printed(found)
    assert "4×H100-SXM and 4×H20" in shown and "prefill  1 × 4 H100-SXM" in shown and "KV peak" in shown


def printed(found: dict[str, Any]) -> str:
    from rich.console import Console

    console = Console(width=80, record=True, quiet=False, file=io.StringIO())
    console.print(screen(found))
    return console.export_text()


def test_axes_carry_units() -> None:
    for name, content in figures(page()).items():
        titles = [
            axis.get("title", {}).get("text", "")
            for key, axis in content["layout"].items()
            if key.startswith(("xaxis", "yaxis"))
        ]
        assert any(titles), name
    drawn = figures(page())
    assert drawn["throughput"]["layout"]["yaxis"]["title"]["text"] == "tokens/s"
    assert drawn["memory"]["layout"]["xaxis"]["title"]["text"] == "simulated time (s)"


def test_the_page_loads_nothing_from_outside() -> None:
    text = own(page())
    assert not re.search(r"(?:src|href)\s*=", text)
    assert "default-src 'none'" in text


def test_what_comes_from_outside_is_escaped() -> None:
    facts, tables, _ = synthetic(40, rejected=2, name=EVIL)
    facts |= {"model": EVIL, "gpu": EVIL, "warnings": [EVIL]}
    facts["busy_seconds_by_bound"][EVIL] = 1.0
    facts["memory"]["gpu"]["owners_at_peak"][EVIL] = 2.0**30
    table = tables["requests"]
    table["request_id"] = [EVIL + name for name in table["request_id"]]
    table["reason"] = [EVIL if reason else "" for reason in table["reason"]]
    tables["steps"]["bound"] = [EVIL for _ in tables["steps"]["bound"]]
    resolved = f"name: {EVIL}  # {EVIL}\n{EVIL}: {EVIL}\n  - {EVIL}\n# {EVIL}\n"
    text = own(report_html(summary(facts, tables), tables, resolved, {"host": EVIL, EVIL: [EVIL]}))
    assert "<img" not in text and "alert(1)</script>" not in text
    assert text.count("<script") == 2 + len(NAMES) - 1  # one per figure, the page's own; the library is cut open
    for content in figures(text).values():
        assert "<img" not in json.dumps(content) and "<a href" not in json.dumps(content)


def test_json_cannot_leave_its_script_element() -> None:
    text = _for_script({"name": EVIL + "<!--"})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"name": EVIL + "<!--"}


@pytest.mark.parametrize(
    "options",
    [
        {"count": 1},
        {"count": 3, "horizon_s": 0.0},
        {"count": 60, "horizon_s": 2.0},
        {"count": 80, "replicas": 3},
        {"count": 40, "outputs": (1, 1)},
        {"count": 400, "rate": 100.0, "max_rows": 8},
    ],
)
def test_unusual_runs_have_a_page(options: dict[str, Any]) -> None:
    drawn = figures(page(**options))
    assert ("timeline" in drawn) == (options.get("horizon_s") != 0.0)


def test_a_run_that_kept_nothing_has_a_page() -> None:
    facts, tables, _ = synthetic(50)
    facts |= {"energy": {}, "prices": {}, "bound": {}, "memory": {}, "model": None, "gpu": None}
    outcome = summary(facts, tables)
    assert not figures(report_html(outcome, {}, "", {}))
    del tables["counters"], tables["gaps"]
    drawn = figures(report_html(outcome, tables, "", {}))
    assert "memory" not in drawn and "latency_cdf" in drawn


def test_large_runs_stay_small_and_fast() -> None:
    """A hundred thousand requests and stretches, by repeating a short run."""
    facts, tables, _ = synthetic(500)
    times, span = 200, facts["simulated_seconds"]
    shift = np.repeat(np.arange(times) * np.ceil(span), 500)
    table = {name: _repeated(values, times) for name, values in tables["requests"].items()}
    for name in ("arrival_s", "scheduled_s", "first_token_s", "finish_s"):
        table[name] = table[name] + shift
    steps = {name: _repeated(values, times) for name, values in tables["steps"].items()}
    late = np.repeat(np.arange(times) * int(np.ceil(span)), len(tables["steps"]["steps"]))
    steps["start"], steps["start_ticks"] = steps["start"] + late, steps["start_ticks"] + late * 10**12
    counters = {"name": [], "value": np.zeros(0)}
    facts["simulated_seconds"] = times * float(np.ceil(span))
    whole = {"requests": table, "steps": steps, "gaps": tables["gaps"], "counters": counters}
    outcome = summary(facts, whole)
    assert outcome["requests"]["arrived"] == 100_000
    started = time.process_time()
    text = report_html(outcome, whole, RESOLVED, MANIFEST)
    assert time.process_time() - started < 6
    assert len(text.encode()) < 8_000_000
    assert len(own(text)) < 800_000


def _repeated(values: Any, times: int) -> Any:
    return list(values) * times if isinstance(values, list) else np.tile(values, times)


# -- the series behind the figures ---------------------------------------------------------------------------------


def test_bins_keep_the_area_and_the_peak() -> None:
    facts, tables, _ = synthetic(300, replicas=2)
    outcome, steps = summary(facts, tables), tables["steps"]
    edges = edges_of(steps, outcome, 50)
    means, peaks = binned(steps, "running", edges)
    length = steps["steps"] * steps["first_duration"] + steps["slope"] * (steps["steps"] * (steps["steps"] - 1) // 2)
    assert np.sum(means * np.diff(edges)) == pytest.approx(np.sum(length * steps["running"]), rel=1e-6)
    assert np.all(peaks >= means - 1e-9)
    both = [steps["running"][steps["replica"] == i].max() for i in (0, 1)]
    assert max(both) <= peaks.max() <= sum(both)


def test_samples_keep_the_extremes() -> None:
    values = np.zeros(100_000)
    values[[77, 4242]] = 5.0
    chosen = sample(values, 1000)
    assert len(chosen) <= 1000 and {77, 4242} <= set(chosen.tolist())
    assert sample(values[:10], 1000).tolist() == list(range(10))


def test_a_distribution_ends_at_the_largest_value() -> None:
    values, shares = distribution(np.arange(1.0, 10_001.0), np.ones(10_000))
    assert values[0] == 1.0 and values[-1] == 10_000.0 and shares[-1] == 1.0
    assert len(values) < 600
    assert np.allclose(shares, values / 10_000)


def test_figures_do_not_change_what_they_show() -> None:
    facts, tables, _ = synthetic(100)
    outcome = summary(facts, tables)
    for name in NAMES:
        Parts("hwsim.view.figures").get(name).draw(Shown(outcome, tables))
    assert summary(facts, tables) == outcome


# -- a browser -----------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_a_browser_draws_every_figure_without_complaint(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        absent("browser", "no chromium is installed")
        return
    file = tmp_path / "report.html"
    file.write_text(page(150, rejected=1, name=EVIL), encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync --dump-dom"
    quiet = "--disable-background-networking --disable-component-update --enable-logging=stderr --v=0"
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    run = subprocess.run(
        [browser, *options.split(), *quiet.split(), profile, "--virtual-time-budget=20000", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "CONSOLE" not in run.stderr, [line for line in run.stderr.splitlines() if "CONSOLE" in line]
    assert run.stdout.count('data-drawn="true"') == len(NAMES)
    assert run.stdout.count("main-svg") >= len(NAMES)
