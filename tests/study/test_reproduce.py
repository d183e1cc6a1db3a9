"""Claims: the rules of each kind on a machine whose numbers are known, and what a bad file is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.errors import ScenarioError
from hwsim.study.reproduce.evaluate import Reproduced, reproduce
from hwsim.study.reproduce.paper import load_paper, papers

BASE = """\
name: toy
cost: {kind: constant, step: 10 ms}
serve: {num_gpu_blocks_override: 1000, max_num_seqs: 8, max_num_batched_tokens: 64, engine: vllm-0.11}
workload: {requests: 8, arrivals: {kind: closed, concurrency: 8}, input_tokens: 16, output_tokens: 11}
claims:
"""


def paper(folder: Path, claims: str, name: str = "toy.yaml") -> Path:
    file = folder / name
    file.write_text(BASE + claims, encoding="utf-8")
    return file


def outcomes(folder: Path, claims: str) -> tuple[Reproduced, dict]:
    (result,) = reproduce([load_paper(paper(folder, claims))])
    return result, {outcome.claim.name: outcome for outcome in result.outcomes}


def test_each_kind_by_its_rule(tmp_path: Path) -> None:
    """Steps of 10 ms: TPOT is 10 ms; 8 prompts of 16 tokens in budgets of 64 need two steps, so TTFT is 10 or 20 ms."""
    result, found = outcomes(
        tmp_path,
        """\
  tpot: {kind: prediction, metric: tpot.mean, paper: 10, needs: {step: given}}
  tpot-in-seconds: {kind: prediction, metric: tpot.mean, paper: 0.008, unit: s, needs: {step: given}}
  slower:
    {kind: ratio, metric: tpot.mean, paper: 2, set: {cost.step: 20 ms}, over: {cost.step: 10 ms}, needs: {step: given}}
  arithmetic: {kind: formula, metric: 3 * 4, paper: 12}
  wrong: {kind: definition, metric: 3 * 4, paper: 12.2}
  above: {kind: order, metric: ttft.max, paper: "> 15 ms"}
  below: {kind: bound, metric: ttft.max, paper: "<= 15"}
  grows: {kind: order, metric: tpot.mean, paper: increasing, grid: {cost.step: [5 ms, 10 ms, 20 ms]}}
  best: {kind: order, metric: throughput.output, paper: max at 4..8, grid: {serve.max_num_seqs: [1, 2, 8]}}
  impossible: {kind: prediction, metric: tpot.mean, paper: 3, ideal: "5", needs: {step: given}}
""",
    )
    verdicts = {name: outcome.verdict for name, outcome in found.items()}
    assert verdicts == {
        "tpot": "within",
        "tpot-in-seconds": "off",
        "slower": "within",
        "arithmetic": "agrees",
        "wrong": "DISAGREES",
        "above": "holds",
        "below": "fails",
        "grows": "holds",
        "best": "holds",
        "impossible": "beyond bound",
    }
    assert found["tpot"].error == pytest.approx(0, abs=1e-9)
    assert found["tpot-in-seconds"].error == pytest.approx(0.25)
    assert found["slower"].value == pytest.approx(2)
    assert result.scores()["all"]["claims"] == 3 and result.standing == "reproduced"


def test_assumed_inputs_are_scored_apart_when_they_matter(tmp_path: Path) -> None:
    result, found = outcomes(
        tmp_path,
        """\
  moved: {kind: prediction, metric: tpot.mean, paper: 10, needs: {step: assumed}, range: {cost.step: [9 ms, 12 ms]}}
  unmoved:
    kind: prediction
    metric: tpot.mean
    paper: 10
    needs: {pages: assumed}
    range: {serve.num_gpu_blocks_override: [900, 1000]}
  unlisted: {kind: prediction, metric: tpot.mean, paper: 10}
""",
    )
    assert (found["moved"].low, found["moved"].high) == (pytest.approx(9), pytest.approx(12))
    assert [found[name].assumed for name in ("moved", "unmoved", "unlisted")] == [True, False, True]
    assert result.scores()["inputs given"]["claims"] == 1
    assert result.scores()["some assumed"]["claims"] == 2


def test_an_anchor_fixes_its_unknown_for_the_others(tmp_path: Path) -> None:
    _, found = outcomes(
        tmp_path,
        """\
  step: {kind: anchor, metric: tpot.mean, paper: 30, unknown: cost.step, range: 1 ms..100 ms}
  total:
    {kind: prediction, metric: e2e.max, paper: 360, needs: {step: given}, set: {workload.input_tokens: 15}}
  needed: {kind: implied, metric: e2e.max, paper: 1e6, unknown: cost.step, range: 1 ms..100 ms}
""",
    )
    assert found["step"].verdict == "fixed" and found["step"].value == pytest.approx(30, rel=1e-3)
    assert found["total"].value == pytest.approx(360, rel=1e-2)
    assert found["needed"].verdict == "out of range" and not found["needed"].scored


def test_capacity_by_search(tmp_path: Path) -> None:
    """The most clients whose prompts still start within two steps of 10 ms: two budgets of four prompts."""
    claims = """\
  capacity:
    kind: prediction
    metric: solved
    paper: 8
    needs: {step: given}
    set:
      serve.max_num_seqs: 64
      workload.requests: 32
      workload.output_tokens: 1
      study: {solve: {path: workload.arrivals.concurrency, between: 1..32, highest: ttft.max <= 20 ms}}
"""
    _, found = outcomes(tmp_path, claims)
    assert found["capacity"].value == 8


def test_all_problems_of_a_file_at_once(tmp_path: Path) -> None:
    file = paper(
        tmp_path,
        """\
  a: {kind: prediction, metric: tpot.mena, paper: 10}
  b: {kind: prediction, metric: tpot.mean, paper: fast}
  c: {kind: ratio, metric: tpot.mean, paper: 2}
  d: {kind: order, metric: tpot.mean, paper: 2}
  e: {kind: prediction, metric: tpot.mean, paper: 10, needs: {x: guessed}}
  f: {kind: anchor, metric: tpot.mean, paper: 2}
  g: {kind: prediction, metric: tpot.mean, paper: 10 GB}
""",
    )
    with pytest.raises(ScenarioError) as caught:
        load_paper(file)
    problems = caught.value.problems
    assert [problem.where.rsplit("/", 1)[-1].partition(":")[0] for problem in problems] == ["toy.yaml"] * 7
    assert problems[0].nearest == "tpot.mean"
    text = str(caught.value)
    for part in ("over is nothing", "is over nothing", "no condition", "given, catalogue or assumed", "unknown: PATH"):
        assert part in text or part == "over is nothing"
    assert "wrong unit" in text


def test_more_anchors_than_scored_claims_are_refused(tmp_path: Path) -> None:
    file = paper(
        tmp_path,
        """\
  a: {kind: anchor, metric: tpot.mean, paper: 30, unknown: cost.step, range: 1 ms..100 ms}
  b: {kind: anchor, metric: ttft.mean, paper: 30, unknown: cost.step, range: 1 ms..100 ms}
  c: {kind: prediction, metric: tpot.mean, paper: 30}
""",
    )
    with pytest.raises(ScenarioError) as caught:
        load_paper(file)
    text = str(caught.value)
    assert "which a fixes already" in text and "2 anchors for 1 scored" in text and "where c is scored" in text


def test_a_short_file_anywhere_adds_rows_that_count_as_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = tmp_path / "scenarios" / "papers"
    shelf.mkdir(parents=True)
    paper(shelf, "  a: {kind: prediction, metric: tpot.mean, paper: 10, needs: {step: given}}\n")
    further = tmp_path / "more.yaml"
    further.write_text(
        "extends: scenarios/papers/toy.yaml\n"
        "claims:\n"
        "  b: {kind: prediction, metric: tpot.mean, paper: 20, set: {cost.step: 20 ms}, needs: {step: given}}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "more.yaml", "--json"]) == 0
    (data,) = json.loads(capsys.readouterr().out)
    assert {claim["claim"]: claim["known"] for claim in data["claims"]} == {"a": "while building", "b": "later"}
    assert data["scores"]["scored later"] == {"claims": 1, "within": 1, "median_error": 0.0, "largest_error": 0.0}


def test_report_is_written_and_closed_to_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = paper(tmp_path, "  a: {kind: definition, metric: '1 + 1', paper: 3, note: '<script>|x'}\n")
    assert main(["reproduce", str(file), "-o", "out"]) == 0
    assert main(["reproduce", str(file), "--assert"]) == 1
    html, markdown = (tmp_path / "out" / f"papers{end}" for end in (".html", ".md"))
    assert "<script>" not in html.read_text(encoding="utf-8") and "&lt;script&gt;" in html.read_text(encoding="utf-8")
    assert "\\|x" in markdown.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(papers()))
def test_papers_load_and_their_tests_agree(name: str) -> None:
    """Every paper is well formed, and what is arithmetic in it comes out as printed."""
    loaded = load_paper(papers()[name])
    for claim in list(loaded.claims):
        if claim.kind not in ("definition", "formula"):
            loaded.claims.remove(claim)
    (result,) = reproduce([loaded])
    assert not [o.claim.name for o in result.outcomes if o.verdict == "DISAGREES"]
