"""The Python builder: the same kind of graph as in YAML, run on the same machine."""

from __future__ import annotations

import pytest

from hwsim.errors import FitError, ScenarioError
from hwsim.taskgraph import Graph

SYSTEM = {"node": {"like": "workstation", "gpu": "RTX-4090", "ssd": {"like": "D7-P5510-3.84TB"}}}
LAYERS, SIZE = 40, 1_720_000_000


def streaming(**how: object) -> Graph:
    graph = Graph(SYSTEM)
    if "room" in how:
        graph.memory("dram", how["room"])  # pyright: ignore[reportArgumentType]
    with graph.loop(LAYERS):
        read = graph.copy("read", SIZE, "ssd", "dram", takes={"dram": SIZE})
        load = graph.copy("load", "1.72 GB", "dram", "gpu0", after=[read], releases=[read])
        graph.compute("layer", "13.8 GFLOP", "gpu0", reads=SIZE, after=[load])
    return graph


def test_the_slowest_stream_is_always_busy() -> None:
    found = streaming().run()
    ssd = found.figures["streams"]["ssd-dram"]["busy_s"]
    assert ssd == pytest.approx(found.seconds, rel=0.01)
    moved = {(copy["from"], copy["to"]): copy["bytes"] for copy in found.figures["copies"]}
    assert moved == {("ssd", "dram"): LAYERS * SIZE, ("dram", "gpu0"): LAYERS * SIZE}
    assert found.figures["flop"] == pytest.approx(LAYERS * 13.8e9)
    path = found.critical_path()
    assert next(iter(path)) == "ssd"
    assert sum(path.values()) == pytest.approx(found.seconds, rel=1e-6)


def test_folded_and_repeated_runs_are_equal() -> None:
    graph = streaming()
    first, again = graph.run(), graph.run()
    assert first.folds
    assert first.seconds == again.seconds
    whole = Graph(SYSTEM, fold=False)
    with whole.loop(LAYERS):
        read = whole.copy("read", SIZE, "ssd", "dram", takes={"dram": SIZE})
        load = whole.copy("load", SIZE, "dram", "gpu0", after=[read], releases=[read])
        whole.compute("layer", 13.8e9, "gpu0", reads=SIZE, after=[load])
    assert whole.run().seconds == first.seconds


def test_before_waits_for_the_iteration_before() -> None:
    graph = Graph(SYSTEM)
    with graph.loop(10):
        a = graph.wait("a", "1 ms", stream="one")
        graph.wait("b", "1 ms", stream="two", after=[a])
    assert graph.run().seconds == pytest.approx(11e-3)
    tied = Graph(SYSTEM)
    with tied.loop(10):
        b = tied.wait("b", "1 ms", stream="two")
        tied.wait("a", "1 ms", stream="one", after=[b, b.before])
    tied.wait("end", "1 ms", after=[b])
    assert tied.run().seconds == pytest.approx(11e-3)


def test_too_little_memory_says_how_much_would_do() -> None:
    graph = streaming(room="1 GB")
    with pytest.raises(FitError, match=r"at least 1\.72 GB|at least 1\.602 GiB"):
        graph.run()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda g: g.copy("c", 1, "sdd", "dram"), "ssd"),
        (lambda g: g.compute("c", 1, "ssd"), "nothing computes"),
        (lambda g: g.compute("c", "1 GB", "gpu0"), "FLOP"),
        (lambda g: g.wait("w", "1 ms", releases=[g.wait("v", "1 ms")]), "holds nothing"),
        (lambda g: g.stream("s", "program", 2), "expected 1"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_written(wrong: object, text: str) -> None:
    with pytest.raises((ScenarioError, ValueError), match=text):
        wrong(Graph(SYSTEM))  # pyright: ignore[reportCallIssue]


def test_memory_is_released_once() -> None:
    graph = Graph(SYSTEM)
    held = graph.wait("held", "1 ms", takes={"dram": "1 GB"})
    graph.wait("first", "1 ms", after=[held], releases=[held])
    with pytest.raises(ScenarioError, match="released twice"):
        graph.wait("second", "1 ms", releases=[held])
