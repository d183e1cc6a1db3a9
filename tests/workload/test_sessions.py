"""Laws of sessions: who waits for whom, what stands in a prompt, and what a prefix cache can hold of it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import hwsim
from hwsim.errors import ScenarioError
from hwsim.serving.conversation import Conversation
from hwsim.workload.context.keep import Keep
from hwsim.workload.context.retrieve import Retrieve
from hwsim.workload.context.state import State
from hwsim.workload.context.window import Window
from hwsim.workload.sessions import Call, Session, Stage

TIMES = ("arrival_s", "scheduled_s", "first_token_s", "finish_s")


def scenario(sessions: dict[str, Any], serve: dict[str, Any] | None = None, **workload: Any) -> dict[str, Any]:
    return {
        "name": "sessions",
        "cost": {"kind": "constant", "step": "10 ms"},
        "serve": {
            "max_model_len": 100_000,
            "num_gpu_blocks_override": 20_000,
            "enable_prefix_caching": True,
            "async_scheduling": False,
        }
        | (serve or {}),
        "workload": {
            "arrivals": {"kind": "poisson", "rate": "1 /s"},
            "sessions": {"count": 8, "turns": 4, "think": "2 s"} | sessions,
            "input_tokens": {"kind": "uniform", "min": 5, "max": 90},
            "output_tokens": {"kind": "uniform", "min": 2, "max": 70},
        }
        | workload,
    }


def run(found: dict[str, Any], **options: Any) -> Any:
    return hwsim.run(hwsim.load(found), **options)


def by_session(result: Any) -> dict[int, list[dict[str, Any]]]:
    table = result.table("requests")
    found: dict[int, list[dict[str, Any]]] = {}
    for i in range(len(table["status"])):
        row = {name: table[name][i] for name in table}
        found.setdefault(int(row["session"]), []).append(row)
    return found


def test_a_turn_comes_after_the_answer_and_the_pause_and_holds_all_that_was_said() -> None:
    result = run(scenario({"system_tokens": 40}))
    sessions = by_session(result)
    assert len(sessions) == 8
    for rows in sessions.values():
        assert [row["turn"] for row in rows] == [0, 1, 2, 3]
        for before, after in itertools.pairwise(rows):
            assert after["arrival_s"] == pytest.approx(before["finish_s"] + 2)
            assert after["input_tokens"] >= before["input_tokens"] + before["output_tokens"] + 5


def test_every_page_of_the_conversation_is_a_hit_when_nothing_is_evicted() -> None:
    for rows in by_session(run(scenario({"system_tokens": 48, "think": "1 s"}))).values():
        for before, after in itertools.pairwise(rows):
            said = before["input_tokens"] + before["output_tokens"]
            # KV of the last answer token was never computed: its page is full one token later.
            assert after["cached_tokens"] == (said - 1) // 16 * 16
        assert rows[0]["cached_tokens"] in (0, 48)


@pytest.mark.parametrize(
    ("context", "stays"),
    [(Keep({}), 1000), (Window({"tokens": 300}), 0), (State({"tokens": 300}), 0), (Retrieve({"tokens": 300}), 0)],
)
def test_what_of_a_long_history_stands_in_the_next_prompt(context: Any, stays: int) -> None:
    assert context.carried(1000)[0] == stays
    assert sum(context.carried(1000)) == (1000 if stays else 300)
    assert sum(context.carried(200)) == 200
    assert sum(context.carried(0)) == 0


def test_dropped_and_rewritten_text_is_no_cached_prefix() -> None:
    for kind in ("window", "state", "retrieve"):
        result = run(scenario({"system_tokens": 32, "context": {"kind": kind, "tokens": 64}}))
        for rows in by_session(result).values():
            for row in rows[2:]:
                assert row["cached_tokens"] == 32
                assert row["input_tokens"] <= 32 + 64 + 90


def test_branches_are_all_answered_before_the_next_turn() -> None:
    result = run(scenario({"branches": 3, "turns": 3}))
    for rows in by_session(result).values():
        turns = [[row for row in rows if row["turn"] == turn] for turn in range(3)]
        assert [len(turn) for turn in turns] == [3, 3, 3]
        for before, after in itertools.pairwise(turns):
            answered = max(row["finish_s"] for row in before)
            assert [row["arrival_s"] for row in after] == pytest.approx([answered + 2] * 3)
            said = sum(row["output_tokens"] for row in before)
            assert min(row["input_tokens"] for row in after) > before[0]["input_tokens"] + said


def test_tools_are_called_within_a_turn_and_their_results_are_read() -> None:
    tools = {"calls": 2, "time": "500 ms", "tokens": 100, "output_tokens": 7}
    result = run(scenario({"turns": 2, "tools": tools}))
    for rows in by_session(result).values():
        assert [row["turn"] for row in rows] == [0, 0, 0, 1, 1, 1]
        assert [row["output_tokens"] == 7 for row in rows[:3]] == [True, True, rows[2]["output_tokens"] == 7]
        for before, after in ((rows[0], rows[1]), (rows[1], rows[2])):
            assert after["arrival_s"] == pytest.approx(before["finish_s"] + 0.5)
            assert after["input_tokens"] == before["input_tokens"] + before["output_tokens"] + 100


def test_reasoning_is_answered_but_not_kept() -> None:
    session = Session(0, 0, tuple(Stage(0, (Call(30, 100, 80),), turn) for turn in range(2)))
    talk = Conversation(session, Keep({}), 1000, block=16, system=(), system_tokens=0)
    (first,) = talk.requests(0, 1, 0)
    talk.stage += 1
    (second,) = talk.requests(1, 1, 0)
    assert (first.prompt_tokens, first.output_tokens) == (30, 100)
    assert second.prompt_tokens == 30 + 20 + 30
    assert first.answer_ids is None
    assert second.prefix_ids[:1] == first.prefix_ids  # type: ignore[index]


def test_a_closed_loop_holds_so_many_conversations() -> None:
    result = run(scenario({"count": 12, "turns": 2}, arrivals={"kind": "closed", "concurrency": 3}))
    sessions = by_session(result)
    spans = [(rows[0]["arrival_s"], rows[-1]["finish_s"]) for rows in sessions.values()]
    changes = sorted([(end, -1) for _, end in spans] + [(start, 1) for start, _ in spans])
    level = np.cumsum([change for _, change in changes])
    assert len(sessions) == 12 and level.max() == 3


@pytest.mark.parametrize("router", ["session_sticky", "least_loaded", "prefix_aware"])
@pytest.mark.parametrize("depth", [False, True])
def test_macro_steps_equal_single_steps(router: str, depth: bool) -> None:
    serve = {"replicas": 3, "router": router, "async_scheduling": depth, "num_gpu_blocks_override": 60}
    tools = {"calls": 1, "time": {"mean": "300 ms", "cv": 1}, "tokens": 20, "output_tokens": 5}
    found = scenario({"branches": 2, "tools": tools, "think": "0 s"}, serve | {"max_model_len": 800})
    macro, single = run(found), run(found, single_step=True)
    for name, values in macro.table("requests").items():
        other = single.table("requests")[name]
        assert np.array_equal(np.asarray(values), np.asarray(other), equal_nan=name in TIMES), name
    assert macro.summary["requests"]["unfinished"] == 0


def test_a_refused_turn_ends_its_session_and_the_counts_add_up() -> None:
    result = run(scenario({"turns": 40, "think": "0 s"}, {"max_model_len": 400}))
    counts = result.summary["requests"]
    assert counts["rejected"] == 8 and counts["arrived"] == counts["completed"] + 8
    for rows in by_session(result).values():
        assert [row["status"] for row in rows] == ["completed"] * (len(rows) - 1) + ["rejected"]


def test_sessions_go_over_a_hand_over_too() -> None:
    pools = {"prefill": {"role": "prefill"}, "decode": {"role": "decode", "replicas": 2}}
    found = scenario({}, {"pools": pools, "handover": {"kind": "nixl", "bandwidth": "10 GB/s"}})
    result = run(found)
    assert result.summary["requests"]["completed"] == 32
    for rows in by_session(result).values():
        for before, after in itertools.pairwise(rows):
            assert after["arrival_s"] == pytest.approx(before["finish_s"] + 2)


def test_sessions_beside_a_trace_or_other_streams_are_refused() -> None:
    both = scenario({})
    both["workload"]["requests"] = 7
    with pytest.raises(ScenarioError, match="requests stands beside sessions"):
        run(both)
    mixed = scenario({})
    del mixed["workload"]["sessions"]
    mixed["workload"]["streams"] = {"a": {"sessions": {"count": 2}}, "b": {"requests": 3}}
    with pytest.raises(ScenarioError, match="sessions wait for answers"):
        run(mixed)
