"""Error bars: scaled prices, draws common to both sides, intervals, and the spreads that feed them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.cost.price import Component, StepPrice, StepShape
from hwsim.metrics import interval
from hwsim.scenario.load import load
from hwsim.scenario.run import run
from hwsim.study import spread
from hwsim.study.rows import Row
from hwsim.study.uncertainty import Drawn, adjusted, better, figures, intervals

SCENARIO = {
    "model": "meta-llama/Llama-3.1-8B",
    "system": {"node": "dgx-h100"},
    "serve": {"engine": "vllm-0.11", "max_model_len": 2048},
    "workload": {
        "requests": 30,
        "arrivals": {"kind": "poisson", "rate": "20 /s"},
        "input_tokens": 128,
        "output_tokens": 32,
    },
}


class Fixed:
    """A pricer with one price."""

    def __init__(self) -> None:
        parts = (Component("hbm", 600, 2), Component("tensor", 300, 0))
        self.made = StepPrice(1000, 3, host=50, components=parts)

    def price(self, shape: StepShape, context: int, windowed: tuple[int, ...] = (), /) -> StepPrice:
        return self.made


def test_each_component_is_scaled_by_what_bounds_it() -> None:
    pricer = Drawn(Fixed(), {"hbm": 2.0, "tensor": 3.0, "host": 1.5, "nvlink": 1.0}.__getitem__)
    price = pricer.price(StepShape(1, (), 1), 10)
    # 100 of the base and 1 of the slope belong to no component and stay
    assert (price.base, price.slope, price.host) == (100 + 1200 + 900, 1 + 4, 75)
    assert pricer.price(StepShape(1, (), 1), 10) is price


def test_draws_repeat_and_differ() -> None:
    scenario = load(SCENARIO)
    first, again, other = (run(scenario, record="off", adjust=adjusted(draw)).summary for draw in (1, 1, 2))
    assert figures(first) == figures(again)
    assert figures(first)["tpot.p50"] != figures(other)["tpot.p50"]


def test_common_draws_judge_a_difference() -> None:
    """Longer prompts start later in every draw, though the draws differ among themselves."""
    slow = load(SCENARIO).changed({"workload": {"input_tokens": 1024}})
    laws = [
        [figures(run(scenario, record="off", adjust=adjusted(draw)).summary) for draw in (1, 2, 3)]
        for scenario in (load(SCENARIO), slow)
    ]
    assert better(laws[0], laws[1], "ttft.p50") == (0, 3)


def test_intervals_are_quantiles() -> None:
    own = {"tpot.p50": 5.0, "goodput": None}
    found = intervals(own, [{"tpot.p50": float(x)} for x in range(11)], [{"tpot.p50": 2.0}])
    assert len(found) == 1
    assert found[0].sampling == (pytest.approx(1), pytest.approx(9)) and found[0].model == (2, 2)


def test_spreads_of_systems_leave_their_own_third_out() -> None:
    groups = [f"model{number}" for number in range(60)]
    rows = [spread.with_interval(Row("s", "c", "H100-SXM", "m", "e", "tpot", 10, 10, group=group)) for group in groups]
    with_bars = [row for row in rows if row.low is not None]
    assert 20 < len(with_bars) < 55
    sigma = interval.spread("tpot")
    assert sigma is not None and with_bars[0].high == pytest.approx(10 * math.exp(1.2816 * sigma))
    assert interval.spread("knee") is None


def test_a_spread_is_that_of_the_calibrating_third() -> None:
    groups = [f"model{number}" for number in range(60)]
    rows = [
        Row("s", "c", "H100-SXM", "m", "e", "tpot", 10, 10 * (1.2 if spread.calibrating(group) else 3), group=group)
        for group in groups
    ]
    ((kind, source, count, sigma),) = spread.fitted(rows)
    assert (kind, source) == ("tpot", "calibrated") and count == sum(map(spread.calibrating, groups))
    assert sigma == pytest.approx(math.log(1.2) / 1.2816)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.json.yaml"
    file.write_text(json.dumps(SCENARIO), encoding="utf-8")
    assert main(["compare", str(file), str(file), "--uncertainty", "2", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["scenarios"]) == 2
    assert data["comparison"]["tpot.p50"] == {"second_better": 0, "draws": 2}
    assert main(["compare", str(file), str(file)]) == 2
