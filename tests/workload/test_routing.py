"""Expert routing: load of ranks and reach of tokens, from even shares and from tables of counts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hwsim.errors import ScenarioError
from hwsim.model.parts.moe import Moe
from hwsim.model.routing import Routing
from hwsim.workload.routing import counts, uniform


def test_even_routing_is_the_closed_form() -> None:
    even = uniform.PART(64, folder=Path())
    assert even.load(8) == pytest.approx(1)
    for tokens in (1, 7, 300):
        assert even.reach(tokens, 6) == pytest.approx(Moe(64, 6, 10).active(tokens))


def test_skew_raises_load_and_lowers_reach() -> None:
    draw = random.Random(1)
    shares = [draw.random() ** 3 for _ in range(64)]
    skewed = Routing.of_counts([dict(enumerate(shares))], 64)
    assert 1 < skewed.load(8) < 8 and skewed.load(1) == pytest.approx(1)
    for tokens in (1, 10, 100):
        assert 6 - 1e-9 <= skewed.reach(tokens, 6) < 64
        assert skewed.reach(tokens, 6) <= Routing.uniform(64).reach(tokens, 6) + 1e-9
    one = Routing.of_counts([{0: 1.0}], 4)
    assert one.reach(5, 2) == pytest.approx(1)  # nothing else is ever chosen


def test_tables_of_counts(tmp_path: Path) -> None:
    table = tmp_path / "routes.csv"
    table.write_text("task,layer,expert,selections\na,0,0,30\nb,0,0,30\na,0,1,20\na,0,3,20\n")
    found = counts.PART(4, folder=tmp_path, file="routes")
    assert found.shares == ((0.6, 0.2, 0.0, 0.2),)
    assert found.load(2) == pytest.approx(1.6)
    table.write_text("rank,layer,expert\n0,1,2\n")
    with pytest.raises(ScenarioError, match="columns layer, expert and selections"):
        counts.PART(4, folder=tmp_path, file="routes")
    table.write_text("layer,expert,selections\n0,9,1\n")
    with pytest.raises(ScenarioError, match=r"routes.csv:2.*experts 0 to 3"):
        counts.PART(4, folder=tmp_path, file="routes")


def test_measured_routing(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWSIM_DATA", str(data_dir))
    olmoe = counts.PART(64, folder=data_dir, file="moe_counts_olmoe-1b-7b")
    assert len(olmoe.shares) == 3 and 1.05 < olmoe.load(8) < 2
    lite = counts.PART(64, folder=data_dir, file="moe_routing_deepseek-v2-lite_law_counts")
    assert 1.95 < lite.load(64) < 6.87  # the range over layers that the data's own page gives
