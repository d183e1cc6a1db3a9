"""Laws of the API server before an engine: what it adds, one tokeniser, the same in open and closed loops."""

from __future__ import annotations

import random

import pytest

from hwsim.cost.constant import ConstantPricer
from hwsim.kernel.clock import Clock
from hwsim.scenario.build import build
from hwsim.scenario.load import load
from hwsim.serving.engine import Engine, EngineConfig
from hwsim.serving.engine_profile import find
from hwsim.serving.front_end import FrontEnd
from hwsim.serving.journal import Journal
from hwsim.serving.replica import Replica
from hwsim.serving.request import Request
from hwsim.serving.source import ClosedLoop, OpenLoop

MS = 10**9


def requests(seed: int, count: int = 40) -> list[Request]:
    rng = random.Random(seed)
    times = sorted(rng.randrange(400) * MS for _ in range(count))
    return [Request(i, time, rng.randrange(1, 200), rng.randrange(1, 30)) for i, time in enumerate(times)]


def front() -> FrontEnd:
    return FrontEnd(before=3e-3, each=1e-3, before_per_token=20e-6, after=2e-3)


def table(source, journal: Journal, single_step: bool = False) -> dict[int, tuple[int, ...]]:
    clock = Clock()
    config = EngineConfig(num_gpu_blocks=400, max_num_batched_tokens=256, max_num_seqs=8)
    pricer = ConstantPricer(10 * MS, 4 * MS)
    replica = Replica(Engine(config, pricer, journal=journal, single_step=single_step), source, clock)
    replica.start()
    clock.run()
    columns = journal.request_table()
    names = ("arrival", "scheduled", "first_token", "finish")
    return {int(i): tuple(int(columns[n][k]) for n in names) for k, i in enumerate(columns["index"])}


def test_one_prompt_after_another() -> None:
    """Handled at once, tokenised in turn: the busy period of a queue with one server (Lindley)."""
    end = front()
    free = 0
    for request in requests(1):
        end.receive(request)
        free = max(request.arrival + 3 * MS, free) + MS + 20_000_000 * request.prompt_tokens
        assert request.visible == free
        assert request.after == 2 * MS


@pytest.mark.parametrize("open_loop", [False, True])
def test_requests_of_one_instant_take_turns(open_loop: bool) -> None:
    """They share the server, so all are ready when its work on all of them is done; later ones wait in turn."""
    sent = [Request(i, 7 * MS if open_loop else 0, 50 * (i + 1), 3) for i in range(4)] + [Request(4, 500 * MS, 50, 3)]
    ready = sent[0].arrival + 3 * MS + sum(MS + 20_000_000 * r.prompt_tokens for r in sent[:4])
    if open_loop:
        assert [r.visible for r in front().passed(iter(sent))] == [ready] * 4 + [500 * MS + 3 * MS + MS + MS]
    else:
        source = ClosedLoop(iter(sent), 4, 0, front())
        assert [source.pop().visible for _ in range(4)] == [ready] * 4


def test_alone_it_adds_what_the_profile_says() -> None:
    bare = table(OpenLoop(iter([Request(0, 5 * MS, 100, 7)])), Journal())[0]
    seen = table(OpenLoop(front().passed(iter([Request(0, 5 * MS, 100, 7)]))), Journal())[0]
    before, after = (3 + 1 + 2) * MS, 2 * MS
    assert seen == (bare[0], bare[1] + before, bare[2] + before + after, bare[3] + before + after)


@pytest.mark.parametrize("seed", range(3))
def test_single_steps_equal_macro_steps(seed: int) -> None:
    runs = [table(OpenLoop(front().passed(iter(requests(seed)))), Journal(), single) for single in (False, True)]
    assert runs[0] == runs[1]
    runs = [table(ClosedLoop(iter(requests(seed)), 3, MS, front()), Journal(), single) for single in (False, True)]
    assert runs[0] == runs[1]


def test_a_client_sends_when_it_has_its_answer() -> None:
    """One client: request n+1 arrives a think time after the client's own finish of n."""
    rows = table(ClosedLoop(iter(requests(4)), 1, 5 * MS, front()), Journal())
    for earlier, later in zip(sorted(rows), sorted(rows)[1:], strict=False):
        assert rows[later][0] == rows[earlier][3] + 5 * MS


def test_a_scenario_takes_it_from_the_engine_profile() -> None:
    """A lone request: TTFT is that of a host without cost plus the profile's times and its host time."""
    spec = {
        "hwsim": 1,
        "name": "alone",
        "model": {"like": "meta-llama/Llama-3.1-8B-Instruct"},
        "system": {"node": "hgx-h100"},
        "serve": {"engine": "vllm-0.11"},
        "workload": {
            "requests": 1,
            "arrivals": {"kind": "closed", "concurrency": 1},
            "input_tokens": 1000,
            "output_tokens": 3,
        },
    }
    found = {}
    for name, ideal in (("real", []), ("ideal", ["host"])):
        simulation = build(load({**spec, "system": {"node": "hgx-h100", "ideal": ideal}}))
        simulation.run()
        row = simulation.journal.request_table()
        found[name] = int(row["first_token"][0] - row["arrival"][0]) / 1e12
    profile = find("vllm-0.11")
    extra = profile.first_token_extra(1000) + profile.host["base"] + profile.host["per_row"]
    assert found["real"] - found["ideal"] == pytest.approx(extra, rel=1e-6)
