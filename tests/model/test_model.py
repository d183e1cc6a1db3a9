"""Parameters, KV bytes and shards of catalogued models against numbers from the reference module code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsim.errors import FitError, ScenarioError
from hwsim.model import Shard, find
from hwsim.model.config import from_config
from hwsim.model.find import aliases, catalog, names

# Parameter counts of the reference modules, and KV bytes per token at 16 bit, for one model of each kind.
KNOWN = {
    "huggyllama/llama-7b": (6_738_415_616, 524_288),
    "meta-llama/Llama-2-70b-hf": (68_976_648_192, 327_680),
    "meta-llama/Llama-3.1-8B": (8_030_261_248, 131_072),
    "meta-llama/Llama-3.1-405B": (405_853_388_800, 516_096),
    "meta-llama/Llama-3.2-1B": (1_235_814_400, 32_768),
    "meta-llama/Llama-3.3-70B-Instruct": (70_553_706_496, 327_680),
    "mistralai/Mistral-Nemo-Instruct-2407": (12_247_782_400, 163_840),
    "Qwen/Qwen2-0.5B": (494_032_768, 12_288),
    "Qwen/Qwen2.5-7B": (7_615_616_512, 57_344),
    "Qwen/Qwen2.5-72B": (72_706_203_648, 327_680),
    "Qwen/Qwen3-0.6B": (596_049_920, 114_688),
    "Qwen/Qwen3-32B": (32_762_123_264, 262_144),
    "01-ai/Yi-34B": (34_388_917_248, 245_760),
}


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_and_kv_bytes_are_exact(name: str) -> None:
    model = find(name)
    assert (model.parameters, model.kv_bytes_per_token) == KNOWN[name]


def test_every_catalogued_model_counts_as_its_checkpoint() -> None:
    assert len(catalog()) >= 167
    kept = ("kv", "window_kv", "index_kv", "cross_kv")
    for name, entry in catalog().items():
        model = find(name)
        assert model.parameters == entry["parameters"], name
        assert model.active_parameters == entry["active_parameters"], name
        assert model.mtp_parameters == entry.get("mtp_parameters", 0), name
        if entry.get("published"):
            assert model.parameters == pytest.approx(entry["published"], rel=entry.get("tolerance", 0.01)), name
        plain = find(name, dtype="bf16")
        for each in kept:
            assert getattr(plain, f"{each}_bytes_per_token") == entry.get(f"{each}_bytes_per_token", 0), (name, each)
        assert plain.state_bytes == entry.get("state_bytes", 0), name
        assert entry["source"] and entry["status"] in ("SEEN", "MEMORY", "DERIVED"), name


def test_aliases_share_the_architecture_of_their_base() -> None:
    for name, alias in aliases().items():
        assert find(name).parameters == find(alias["of"]).parameters
    assert find("meta-llama/Llama-3.1-8B-Instruct").hf_id == "meta-llama/Llama-3.1-8B-Instruct"
    assert find("Llama-3.1-8B").hf_id == "meta-llama/Llama-3.1-8B"
    assert len(names()) == len(set(names()))


def test_config_file_gives_the_same_model(tmp_path: Path) -> None:
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "max_position_embeddings": 131072,
        "sliding_window": 131072,
        "use_sliding_window": False,
        "torch_dtype": "bfloat16",
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    for place in (file, tmp_path):
        model = find(str(place))
        assert model.parameters == 7_615_616_512
        assert model.sliding_window is None and model.head_dim == 128
    without = {key: value for key, value in config.items() if key != "num_key_value_heads"}
    assert from_config(without).num_key_value_heads == 28


def test_fields_and_formats_can_be_changed() -> None:
    model = find("meta-llama/Llama-3.1-8B", dtype="fp8", kv_cache_dtype="e4m3", num_hidden_layers=16)
    assert model.num_hidden_layers == 16
    assert model.kv_bytes_per_token == 131_072 // 4
    assert find("meta-llama/Llama-3.1-8B", dtype="fp8").kv_bytes_per_token == 131_072
    assert find("meta-llama/Llama-3.1-8B", quantization="awq").dtype == "awq"
    assert find("meta-llama/Llama-3.1-8B", hidden_size=2048).head_dim == 64


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("meta-llama/Llama-3.1-9B", {}, "did you mean meta-llama/Llama-3.1-8B"),
        ("meta-llama/Llama-3.1-8B", {"dtype": "fp7"}, "unknown number format"),
        ("meta-llama/Llama-3.1-8B", {"kv_cache_dtype": "int4"}, "no engine keeps KV"),
        ("meta-llama/Llama-3.1-8B", {"num_key_value_heads": 5}, "divisor of num_attention_heads 32"),
        ("meta-llama/Llama-3.1-8B", {"hidden_size": -1, "vocab_size": "many"}, "bad vocab_size"),
        ("nowhere/config.json", {}, "cannot read the model"),
    ],
)
def test_bad_models_are_refused(name: str, more: dict[str, object], says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        find(name, **more)  # type: ignore[arg-type]


def test_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"llama4_text.*; did you mean llama"):
        from_config({"model_type": "lama"})


@pytest.mark.parametrize("text", ["[1, 2]", "{", "[" * 100_000])
def test_broken_config_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(ScenarioError, match=r"config\.json"):
        find(str(file))


def test_one_rank_holds_the_whole_model() -> None:
    for name in KNOWN:
        model = find(name)
        assert Shard(model).weight_bytes == 2 * model.parameters
        assert Shard(model).kv_bytes_per_token == model.kv_bytes_per_token
        assert Shard(model).flop_per_token_linear == model.flop_per_token_linear


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_shards_add_up_to_the_model(ranks: int) -> None:
    model = find("meta-llama/Llama-3.3-70B-Instruct")
    shard = Shard(model, ranks)
    replicated = 2 * (2 * model.num_hidden_layers + 1) * model.hidden_size  # norms, 16 bit
    assert ranks * shard.weight_bytes == 2 * model.parameters + (ranks - 1) * replicated
    assert ranks * shard.kv_bytes_per_token == model.kv_bytes_per_token
    assert ranks * shard.flop_per_token_linear == model.flop_per_token_linear


def test_kv_heads_are_repeated_when_ranks_outnumber_them() -> None:
    model = find("Qwen/Qwen2.5-7B")  # 28 heads, 4 KV heads
    shard = Shard(find("Qwen/Qwen2.5-32B"), 8)
    assert shard.kv_heads == 1
    many = Shard(find("meta-llama/Llama-3.1-70B"), 16)
    assert many.kv_heads == 1 and many.kv_bytes_per_token * 16 == 2 * many.model.kv_bytes_per_token
    assert Shard(model, 4).kv_heads == 1


def test_products_of_a_shard() -> None:
    shard = Shard(find("meta-llama/Llama-3.1-8B"), 2)
    assert [(g.name, g.n, g.k, g.times) for g in shard.gemms] == [
        ("qkv", 3072, 4096, 32),
        ("o", 4096, 2048, 32),
        ("gate_up", 14336, 4096, 32),
        ("down", 4096, 7168, 32),
    ]
    assert shard.head.n == 64_128


@pytest.mark.parametrize(("name", "ranks"), [("Qwen/Qwen2.5-7B", 8), ("Qwen/Qwen2-0.5B", 4), ("01-ai/Yi-34B", 16)])
def test_impossible_parallel_sizes_are_refused(name: str, ranks: int) -> None:
    with pytest.raises(FitError, match="do not divide"):
        Shard(find(name), ranks)


def test_fp8_halves_the_blocks_only() -> None:
    model = find("meta-llama/Llama-3.1-8B", dtype="fp8")
    blocks = 32 * sum(product.parameters for product in model.layers[0].products(4096))
    assert Shard(model).weight_bytes == 2 * model.parameters - blocks


def test_activation_peak_is_tokens_times_width_plus_logits() -> None:
    shard = Shard(find("meta-llama/Llama-3.1-8B"))
    width = 4096 + 3 * 14336
    assert shard.activation_peak_bytes(8192, 256) == 8192 * width * 2 + 256 * 128_256 * 4
    assert Shard(shard.model, 2).activation_peak_bytes(8192, 256) < shard.activation_peak_bytes(8192, 256)


def test_attention_flop_counts_causal_pairs() -> None:
    model = find("meta-llama/Llama-3.1-8B")
    whole = model.attention_flop(1000, 0)
    assert whole == model.attention_flop(400, 0) + model.attention_flop(600, 400)
    assert model.attention_flop(1, 0) == 524_288
