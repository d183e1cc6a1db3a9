"""Loading: golden files and short forms, merging, origins, and the resolved scenario read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import hwsim
from hwsim.scenario.load import Scenario, load

GOLDEN = sorted((Path(__file__).parents[2] / "scenarios" / "golden").glob("*.yaml"))
MINIMAL: dict[str, Any] = {"system": {"node": "dgx-h100"}, "serve": {}}


def test_there_are_six_golden_files() -> None:
    assert [path.name[0] for path in GOLDEN] == list("123456")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files_load_and_read_back(path: Path, tmp_path: Path) -> None:
    scenario = load(path)
    assert scenario.name == scenario.spec.name
    again = tmp_path / "scenario.yaml"
    again.write_text(scenario.to_yaml(), encoding="utf-8")
    assert load(again).spec == scenario.spec


@pytest.mark.parametrize(
    "short",
    [
        {"system": {"node": "dgx-h100", "nodes": 1}},
        {
            "serve": {
                "tensor_parallel_size": 1,
                "replicas": 1,
                "max_num_seqs": 256,
                "max_num_batched_tokens": 2048,
            }
        },
        {"workload": {"trace": "FILE", "format": "azure"}},
        {
            "workload": {
                "requests": 50000,
                "arrivals": {"kind": "poisson", "rate": "10 /s"},
                "input_tokens": 512,
                "output_tokens": 512,
            }
        },
        {"cost": {"kind": "constant", "step": "1 s"}},
        {"serve": {"cost": {"kind": "constant", "step": "1 s", "host": "0 s"}}},
        {"serve": None, "train": {}},
        {"hwsim": 1},
        {"model": "meta-llama/Llama-3.1-8B"},
        {"serve": {"scheduling": "priority"}},
        {"serve": {"max_model_len": "auto", "cuda_graph": [1, 2, 4]}},
        {"serve": {"kv_cache_memory_bytes": 10**10}},
        {"workload": {"streams": {"chat": {"trace": "a", "priority": -1}, "batch": {"requests": 3}}}},
        {"workload": {"prefix": {"share": "50 %", "tokens": 1024}, "acceptance": 0.6, "routing": "uniform"}},
        {"serve": None, "jobs": {"a": {"serve": {}}, "b": {"train": {"at": "gpu"}}}},
    ],
)
def test_short_forms_stay_valid(short: dict[str, Any]) -> None:
    assert load({**MINIMAL, **short}).spec.hwsim == 1


def test_short_forms_are_written_out() -> None:
    spec = load(GOLDEN[1]).spec
    assert spec.model is not None and spec.model.like == "PowerInfer/TurboSparse-Mixtral"
    scenario = load({**MINIMAL, "workload": {"input_tokens": 5}, "serve": {"router": "round_robin"}})
    assert scenario.tree["system"]["node"] == {"like": "dgx-h100"}
    assert scenario.tree["serve"]["router"] == {"kind": "round_robin"}
    assert scenario.tree["workload"]["input_tokens"] == {"kind": "constant", "value": 5}
    assert scenario.spec.workload is not None and scenario.spec.workload.input_tokens is not None
    assert scenario.spec.workload.input_tokens.value == 5


def test_quantities_come_back_in_base_units() -> None:
    spec = load(GOLDEN[4]).spec
    assert spec.slo is not None and (spec.slo.ttft, spec.slo.tpot, spec.slo.attainment) == (5.0, 0.06, 0.95)
    assert spec.serve is not None and spec.serve.place is not None and spec.serve.place.kv is not None
    assert spec.serve.place.kv.limit == {"dram": 256 * 10**9}
    assert spec.serve.place.kv.tiers == ["gpu", "dram", "cxl", "ssd"]


def test_extends_null_and_origins() -> None:
    scenario = load(GOLDEN[5])
    tree = scenario.tree
    assert list(tree["system"]["groups"]) == ["fast"]
    assert tree["serve"]["pools"]["prefill"]["replicas"] == 2
    assert tree["serve"]["pools"]["decode"] == {
        "role": "decode",
        "at": "fast",
        "replicas": "rest",
        "tensor_parallel_size": 2,
        "max_num_seqs": 256,
    }
    origins = scenario.origins
    assert origins["serve.engine"].endswith("1-pd-heterogeneous.yaml:10")
    assert origins["serve.pools.decode.at"].endswith("6-pd-ratio.yaml:8")
    assert scenario.folder("workload.trace") == GOLDEN[0].parent.resolve()
    assert "extends" not in tree


def test_settings_and_their_origin() -> None:
    scenario = load(MINIMAL, ["serve.max_num_seqs=64", "model=meta-llama/Llama-3.1-8B", "model.dtype=fp8"])
    assert scenario.tree["model"] == {"like": "meta-llama/Llama-3.1-8B", "dtype": "fp8"}
    assert scenario.origins["serve.max_num_seqs"] == "-s"
    assert scenario.origins["system.node.like"] == "given"
    assert "max_num_seqs: 64  # -s" in scenario.to_yaml()
    assert "tensor_parallel_size: 1  # default" in scenario.to_yaml()


def test_a_short_form_is_written_out_before_it_is_changed() -> None:
    scenario = load(MINIMAL, ["system.node.gpu.count=4", "serve.place.kv=[gpu, dram]", "serve.place.kv.evict=lru"])
    assert scenario.tree["system"]["node"] == {"like": "dgx-h100", "gpu": {"count": 4}}
    assert scenario.tree["serve"]["place"]["kv"] == {"tiers": ["gpu", "dram"], "evict": "lru"}


def test_another_form_takes_the_place_of_the_inherited_one() -> None:
    base = {
        **MINIMAL,
        "serve": {"place": {"kv": {"tiers": ["gpu", "dram"], "evict": "lru"}, "weights": "gpu"}},
    }
    kv = load(base, ["serve.place.kv.at=gpu"]).tree["serve"]["place"]["kv"]
    assert kv == {"at": "gpu", "evict": "lru"}
    weights = load(base, ["serve.place.weights={split: {gpu: 20 %, dram: 80 %}}"]).tree["serve"]["place"]["weights"]
    assert weights == {"split": {"gpu": "20 %", "dram": "80 %"}}


def test_another_kind_keeps_what_it_knows_and_gives_up_the_rest() -> None:
    base = {**MINIMAL, "workload": {"arrivals": {"kind": "poisson", "rate": "10 /s"}}}
    same = load(base, ["workload.arrivals.kind=constant"]).tree["workload"]["arrivals"]
    assert same == {"kind": "constant", "rate": "10 /s"}
    other = load(base, ["workload.arrivals={kind: closed, concurrency: 4}"]).tree["workload"]["arrivals"]
    assert other == {"kind": "closed", "concurrency": 4}


def test_null_in_a_catalogue_thing_takes_out_what_the_catalogue_has() -> None:
    spec = load(MINIMAL, ["system.node.cxl=null"]).spec
    assert spec.system is not None and spec.system.node is not None
    assert spec.system.node.cxl is None
    assert "cxl" in spec.system.node.model_fields_set
    assert "ssd" not in spec.system.node.model_fields_set


def test_null_elsewhere_goes_back_to_the_default() -> None:
    scenario = load({**MINIMAL, "serve": {"max_num_seqs": 4, "tensor_parallel_size": 2}}, ["serve.max_num_seqs="])
    assert scenario.tree["serve"] == {"tensor_parallel_size": 2}


def test_members_take_what_stands_beside_them() -> None:
    serve = {"max_num_seqs": 64, "place": {"kv": "gpu", "weights": "gpu"}}
    pools = {"a": {"place": {"kv": ["gpu", "dram"]}}, "b": {"max_num_seqs": 8}}
    spec = load({**MINIMAL, "serve": {**serve, "pools": pools}}).spec
    assert spec.serve is not None
    a, b = spec.serve.members().values()
    assert (a.max_num_seqs, b.max_num_seqs) == (64, 8)
    assert a.place is not None and a.place.kv is not None and a.place.weights is not None
    assert (a.place.kv.tiers, a.place.kv.at, a.place.weights.at) == (["gpu", "dram"], None, "gpu")
    assert list(load(MINIMAL).spec.serve.members()) == ["serve"]  # type: ignore[union-attr]
    assert list(load(MINIMAL).spec.members()) == ["job"]
    assert [group.nodes for group in load(GOLDEN[0]).spec.system.members().values()] == [1, 2]  # type: ignore[union-attr]


def test_changes_make_a_new_scenario() -> None:
    scenario = load(GOLDEN[4])
    fewer = scenario.changed(scenario.tree["study"]["variants"]["dram-ssd"], "variant dram-ssd")
    assert fewer.tree["serve"]["place"]["kv"]["tiers"] == ["gpu", "dram", "ssd"]
    assert fewer.tree["serve"]["place"]["kv"]["evict"] == "lru"
    assert fewer.tree["system"]["node"]["cxl"] is None
    assert fewer.origins["serve.place.kv.tiers"] == "variant dram-ssd"
    assert scenario.tree["system"]["node"]["cxl"]["count"] == 4


def test_filled_values_lose_against_written_ones() -> None:
    scenario = load({**MINIMAL, "serve": {"max_num_seqs": 4}})
    profile = {"serve": {"max_num_seqs": 1024, "block_size": 16}}
    full = scenario.filled(profile, "engine vllm-0.33")
    assert full.spec.serve is not None
    assert (full.spec.serve.max_num_seqs, full.spec.serve.block_size) == (4, 16)
    assert full.origins["serve.block_size"] == "engine vllm-0.33"
    assert full.changed(["serve.block_size=32"]).tree["serve"]["block_size"] == 32
    assert "block_size: 16  # engine vllm-0.33" in full.to_yaml()


def test_a_short_name_is_the_long_one() -> None:
    scenario = load({**MINIMAL, "serve": {"scheduling": "priority"}})
    assert scenario.tree["serve"] == {"scheduling_policy": "priority"}
    assert scenario.filled({"serve": {"scheduling_policy": "fcfs"}}, "engine x").spec.serve.policy == "priority"  # type: ignore[union-attr]
    assert scenario.changed(["serve.scheduling_policy=fcfs"]).spec.serve.policy == "fcfs"  # type: ignore[union-attr]
    pools = {"pools": {"a": {"scheduling": "priority"}}}
    assert load({**MINIMAL, "serve": pools}).tree["serve"]["pools"]["a"] == {"scheduling_policy": "priority"}


def test_yaml_traps_stay_text_or_numbers_as_written(tmp_path: Path) -> None:
    file = tmp_path / "traps.yaml"
    file.write_text('name: 1:30\nmodel: {like: "on", dtype: 0.10}\nserve: {max_num_seqs: 3e2}\nseed: 0o7\n'[:-10])
    spec = load(file).spec
    assert (spec.name, spec.model.like, spec.model.dtype) == ("1:30", "on", "0.10")  # type: ignore[union-attr]
    assert spec.serve.max_num_seqs == 300  # type: ignore[union-attr]


def test_the_resolved_yaml_is_plain_yaml_for_others() -> None:
    text = load({**MINIMAL, "name": "a: b # c", "description": "two\nlines, [x]"}).to_yaml()
    assert yaml.safe_load(text)["name"] == "a: b # c"
    assert yaml.safe_load(text)["description"] == "two\nlines, [x]"


def test_search_folders(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("serve: {}\n")
    assert isinstance(load("base.yaml", search=[tmp_path]), Scenario)
    assert load({"extends": "base.yaml"}, search=[tmp_path]).spec.serve is not None


def test_the_package_offers_load_lazily() -> None:
    assert hwsim.load is load
    assert hwsim.Scenario is Scenario
    assert "run" in dir(hwsim)
    with pytest.raises(AttributeError):
        _ = hwsim.nothing  # type: ignore[attr-defined]
