"""Bad scenarios: each is refused with its place and a hint, all problems at once, quickly and without a traceback."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from hwsim.errors import Problem, ScenarioError
from hwsim.scenario.load import load

GOOD = """\
system: {node: dgx-h100}
serve: {tensor_parallel_size: 1}
workload:
  requests: 10
  arrivals: {kind: poisson, rate: 10 /s}
  input_tokens: 512
  output_tokens: 512
"""


def problems(text: str, folder: Path, sets: tuple[str, ...] = ()) -> list[Problem]:
    file = folder / "s.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load(file, sets)
    for problem in caught.value.problems:
        assert problem.where, problem
    return [
        Problem(p.what, p.where.replace(f"{folder}/", ""), p.got, p.expected, p.nearest) for p in caught.value.problems
    ]


@pytest.mark.parametrize(
    ("bad", "where", "says"),
    [
        (
            "serve: {max_num_seq: 5}",
            "s.yaml:1:9",
            "unknown key serve.max_num_seq; did you mean max_num_seqs?",
        ),
        ("serve: {}\nmax_num_seqs: 5", "s.yaml:2:1", "did you mean serve.max_num_seqs?"),
        ("serve: {}\nzzz: 5", "s.yaml:2:1", "expected one of"),
        ("serve: {tensor_parallel_size: two}", "s.yaml:1:31", "'two' is not a number"),
        ("serve: {tensor_parallel_size: 0}", "s.yaml:1:31", "too small"),
        ("serve: {replicas: all}", "s.yaml:1:19", "or rest"),
        ("serve: {max_model_len: long}", "s.yaml:1:24", "or auto"),
        ("serve: {gpu_memory_utilization: 92}", "s.yaml:1:33", "0.5 or 50 %"),
        ("serve: {enable_prefix_caching: on}", "s.yaml:1:32", "expected true"),
        ("serve: {enable_prefix_caching: [1]}", "s.yaml:1:32", "true or false"),
        ("serve: {scheduling_policy: fcsf}", "s.yaml:1:28", "did you mean fcfs?"),
        ("serve: {scheduling: fcfs, scheduling_policy: fcfs}", "s.yaml:1:1", "both scheduling"),
        ("serve: {router: round_robbin}", "s.yaml:1:17", "did you mean round_robin?"),
        ("serve: {router: {kind: round_robin, x: 1}}", "s.yaml:1:37", "unknown key serve.router.x"),
        ("serve: {router: {x: 1}}", "s.yaml:1:9", "does not say which kind"),
        ("serve: 5", "s.yaml:1:8", "not a mapping"),
        ("serve: {pools: {}}", "s.yaml:1:1", "pools is empty"),
        ("serve: {pools: {A: {}}}", "s.yaml:1:17", "not a name"),
        ("serve: {cuda_graph: [1, x]}", "s.yaml:1:21", "'x' is not a number"),
        ("serve: {at: 'Fast GPU'}", "s.yaml:1:13", "not a place"),
        ("serve: {place: {kv: {evict: lru}}}", "s.yaml:1:17", "no place"),
        ("serve: {place: {kv: {at: gpu, tiers: [gpu]}}}", "s.yaml:1:17", "both at and tiers"),
        ("serve: {place: {kv: {tiers: [gpu, gpu]}}}", "s.yaml:1:17", "twice"),
        ("serve: {place: {kv: {split: {gpu: 10 %, dram: 80 %}}}}", "s.yaml:1:17", "adds up to 90 %"),
        ("serve: {place: {kv: {tiers: [gpu], limit: {ssd: 1 GB}}}}", "s.yaml:1:17", "not one of its tiers"),
        ("serve: {place: {kv: {tiers: [gpu], limit: {gpu: 14}}}}", "s.yaml:1:49", "no unit"),
        ("serve: {}\ntrain: {}", "s.yaml:1:1", "both serve and train"),
        ("system: {node: dgx-h100}", "s.yaml:1:1", "nothing runs"),
        ("hwsim: 2\nserve: {}", "s.yaml:1:8", "language version"),
        ("serve: {}\nseed: -1", "s.yaml:2:7", "negative"),
        ("serve: {}\nseed: 1e30", "s.yaml:2:7", "too large"),
        ("serve: {}\nslo: {ttft: 2}", "s.yaml:2:13", "no unit"),
        ("serve: {}\nslo: {ttft: 2 GB}", "s.yaml:2:13", "wrong unit 'GB'"),
        ("serve: {}\nslo: {attainment: 90}", "s.yaml:2:19", "more than the whole"),
        ("serve: {}\nslo: {ttft: .nan}", "s.yaml:2:13", "not a finite number"),
        ("serve: {}\ncost: {kind: constant, step: 0 s}", "s.yaml:2:30", "above 0"),
        ("serve: {}\ncost: {kind: constant}", "s.yaml:2:1", "cost.step is missing"),
        ("serve: {cost: {kind: roofline}}\ncost: {kind: roofline}", "s.yaml:1:1", "one place"),
        ("serve: {}\nworkload: {requests: nan}", "s.yaml:2:22", "not a finite number"),
        ("serve: {}\nworkload: {input_tokens: -5}", "s.yaml:2:26", "negative"),
        ("serve: {}\nworkload: {rate_scale: 0}", "s.yaml:2:24", "too small"),
        ("serve: {}\nworkload: {arrivals: {kind: poisson, rate: 10}}", "s.yaml:2:44", "no unit"),
        (
            "serve: {}\nworkload: {arrivals: {kind: poison, rate: 10 /s}}",
            "s.yaml:2:29",
            "did you mean poisson?",
        ),
        ("serve: {}\nworkload: {trace: x, from: 9 s, until: 3 s}", "s.yaml:2:1", "until is not after from"),
        ("serve: {}\nworkload: {first: 3, requests: 3}", "s.yaml:2:1", "first is for a trace"),
        (
            "serve: {}\nworkload: {trace: a, input_tokens: 5}",
            "s.yaml:2:1",
            "input_tokens stands beside a trace",
        ),
        ("serve: {}\nworkload: {trace: a, duration: 5 s}", "s.yaml:2:1", "duration is for drawn"),
        (
            "serve: {}\nworkload: {clients: {count: 3, rate: 1 /s}, arrivals: {kind: poisson, rate: 1 /s}}",
            "s.yaml:2:1",
            "clients have arrivals of their own",
        ),
        ("serve: {}\nworkload: {clients: {rate: 1 /s}}", "s.yaml:2:12", "preset: NAME, or count: N"),
        ("serve: {}\nworkload: {clients: {preset: a, cv: 2, rate: 1 /s}}", "s.yaml:2:12", "no skew and no cv"),
        ("serve: {}\nworkload: {correlation: 2}", "s.yaml:2:25", "from -1 to 1"),
        ("serve: {}\nworkload: {prefix: {share: 50 %}}", "s.yaml:2:12", "portion: 50 %"),
        ("serve: {}\nworkload: {prefix: {share: 5 %, tokens: 9, block: 3}}", "s.yaml:2:12", "goes with portion"),
        (
            "serve: {}\nworkload: {arrivals: {kind: gamma, rate: 1 /s, cv: 2, burstiness: 1}}",
            "s.yaml:2:12",
            "one of them",
        ),
        ("serve: {}\nworkload: {arrivals: {kind: gamma, rate: 1 /s, cv: 99}}", "s.yaml:2:12", "too bursty"),
        ("serve: {}\nworkload: {arrivals: {kind: weibull, rate: 1 /s, shape: 0.001}}", "s.yaml:2:12", "at least 0.05"),
        (
            "serve: {}\nworkload: {arrivals: {kind: piecewise, rates: 5 /s, every: 60 s}}",
            "s.yaml:2:47",
            "list of rates",
        ),
        ("serve: {}\nworkload: {arrivals: {kind: on_off, rate: 5 /s, busy: 5 s}}", "s.yaml:2:12", "idle"),
        ("serve: {}\nworkload: {arrivals: trace}", "s.yaml:2:1", "there is none"),
        ("serve: {}\nassert: [e2e.p50 < 1 s, ttft.p98 < 1 s]", "s.yaml:2:25", "did you mean ttft.p9"),
        ("serve: {}\nassert: [ttft.p99 < 1 GB]", "s.yaml:2:10", "wrong unit"),
        ("serve: {}\nassert: [ttft fast]", "s.yaml:2:10", "not a condition"),
        ("serve: {}\nassert: fast", "s.yaml:2:9", "not a list"),
        ("serve: {}\nunscored: [{source: a}]", "s.yaml:2:12", "is missing"),
        ("serve: {}\nstudy: {axes: {serve.replicas: 8..1}}", "s.yaml:2:32", "runs down"),
        ("serve: {}\nstudy: {axes: {serve.replica: 1..8}}", "s.yaml:2:16", "did you mean replicas?"),
        ("serve: {}\nstudy: {axes: {serve.replicas: [1, x]}}", "s.yaml:2:36", "'x' is not a number"),
        (
            "serve: {}\nstudy: {variants: {a: {serve: {foo: 1}}}}",
            "s.yaml:2:32",
            "variant a: unknown key serve.foo",
        ),
        (
            "serve: {}\nstudy: {solve: {path: serve.rep, between: 1..2, highest: slo}}",
            "s.yaml:2:23",
            "unknown key",
        ),
        (
            "serve: {}\nstudy: {solve: {path: serve.replicas, between: 1..2}}",
            "s.yaml:2:9",
            "highest or lowest",
        ),
        ("serve: {at: slow}\nsystem: {groups: {fast: {node: a}}}", "s.yaml:1:13", "no group of the system"),
        ("serve: {}\nsystem: {groups: {fast: {nodes: 2}}}", "s.yaml:2:19", "has no node"),
        ("serve: {}\nserve: {}", "s.yaml:2:1", "stands twice; first on line 1"),
        ("serve: !!python/object/apply:os.system [ls]", "s.yaml:1:8", "tags are not read"),
        ("serve: {}\n<<: {a: 1}", "s.yaml:2:1", "extends"),
        ("serve: {}\n? [a]\n: 1", "s.yaml:2:3", "a key must be a name"),
        ("serve: {}\n---\nserve: {}", "s.yaml:2:1", "more than one document"),
        ("[1, 2]", "s.yaml:1:1", "not a mapping"),
        ("", "s.yaml:1:1", "not a mapping"),
        ("serve: *x", "s.yaml:1:8", "alias *x"),
        ("serve: &x {a: *x}", "s.yaml:1:15", "alias *x"),
        ("serve: [1", "s.yaml:2:1", "is not YAML"),
        ("serve:\n\t- 1", "s.yaml:2:1", "is not YAML"),
        ("extends: s.yaml\nserve: {}", "s.yaml:1:10", "s.yaml -> s.yaml"),
        ("extends: none.yaml\nserve: {}", "s.yaml:1:10", "does not exist"),
        ("extends: http://a.b/c.yaml\nserve: {}", "s.yaml:1:10", "is a URL"),
        ("extends: [a, b]\nserve: {}", "s.yaml:1:10", "not a file name"),
    ],
)
def test_refused_with_its_place(bad: str, where: str, says: str, tmp_path: Path) -> None:
    found = problems(bad, tmp_path)
    assert any(problem.where == where and says in str(problem) for problem in found), [str(p) for p in found]


def test_all_problems_of_a_file_at_once(tmp_path: Path) -> None:
    text = "name: x\nsystem: {nodes: none}\nserve:\n  max_num_seq: 1\n  block_size: -4\nslo: {ttft: 5}\n"
    found = problems(text, tmp_path)
    assert [problem.where for problem in found] == ["s.yaml:2:17", "s.yaml:4:3", "s.yaml:5:15", "s.yaml:6:13"]


def test_several_duplicate_keys_at_once(tmp_path: Path) -> None:
    found = problems("a: 1\na: 2\nb: {c: 1, c: 2}\n", tmp_path)
    assert [problem.where for problem in found] == ["s.yaml:2:1", "s.yaml:3:11"]


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ("serve.max_num_seq=5", "did you mean max_num_seqs?"),
        ("serve.max_num_seq=null", "did you mean max_num_seqs?"),
        ("serv.x=1", "did you mean serve?"),
        ("serve.max_num_seqs", "expected path=value"),
        ("serve..x=1", "expected path=value"),
        ("=1", "expected path=value"),
        ("serve.max_num_seqs=[1", "is not YAML"),
        ("workload.requests.x=1", "workload.requests"),
        ("serve.place.kv.tiers.0=gpu", "items have no names"),
        ("system.groups.nothing=null", "nothing to remove"),
        ("serve.max_num_seqs=!!python/none x", "tags are not read"),
    ],
)
def test_bad_settings_name_themselves(sets: str, says: str, tmp_path: Path) -> None:
    text = GOOD.replace("tensor_parallel_size: 1", "place: {kv: [gpu, dram]}")
    found = problems(text, tmp_path, (sets,))
    assert any(problem.where == f"-s {sets}" and says in str(problem) for problem in found), [str(p) for p in found]


def test_an_alias_bomb_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for old, new in zip("abcdefghijk", "bcdefghijkl", strict=True):
        lines.append(f"{new}: &{new} [{', '.join(['*' + old] * 10)}]")
    start = time.perf_counter()
    found = problems("\n".join(lines), tmp_path)
    assert time.perf_counter() - start < 2
    assert "too many values, aliases expanded" in found[0].what


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    assert "nested too deeply" in problems("a: " + "{a: " * 150 + "1" + "}" * 150, tmp_path)[0].what
    assert "YAML" in problems("[" * 500_000, tmp_path)[0].what


def test_a_large_file_is_refused_by_its_size(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    with file.open("wb") as stream:
        stream.truncate(100 * 10**6)
    start = time.perf_counter()
    with pytest.raises(ScenarioError, match="too large"):
        load(file)
    assert time.perf_counter() - start < 1


def test_what_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text(GOOD)
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "scenaro.yaml")
    assert caught.value.problems[0].nearest == "scenario.yaml"
    with pytest.raises(ScenarioError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(ScenarioError, match="not a regular file"):
        load("/dev/zero")
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load(tmp_path / "latin.yaml")
    (tmp_path / "nul.yaml").write_bytes(b"name: \x00\n")
    with pytest.raises(ScenarioError, match="not YAML"):
        load(tmp_path / "nul.yaml")


def test_a_longer_circle_of_extends_is_named(tmp_path: Path) -> None:
    for name, target in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"extends: {target}.yaml\n")
    with pytest.raises(ScenarioError, match=r"a\.yaml -> b\.yaml -> c\.yaml -> a\.yaml"):
        load(tmp_path / "a.yaml")


def test_a_mapping_with_bad_python_values() -> None:
    with pytest.raises(ScenarioError) as caught:
        load({"serve": {"max_num_seqs": float("nan"), "replicas": object()}, "slo": {"ttft": True}})
    assert len(caught.value.problems) == 3
