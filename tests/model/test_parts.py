"""Parts of layers against closed forms written down apart from them."""

from __future__ import annotations

import random

import pytest

from hwsim.errors import FitError, ScenarioError
from hwsim.model import Shard, find
from hwsim.model.config import from_config
from hwsim.model.find import catalog
from hwsim.model.model import pairs
from hwsim.model.parts.attention import Attention
from hwsim.model.parts.gated_delta import GatedDelta
from hwsim.model.parts.mamba2 import Mamba2
from hwsim.model.parts.mla import Mla
from hwsim.model.parts.moe import Moe


def test_gpt_counts_by_the_formula_of_megatron() -> None:
    """``12*L*d^2*(1 + 13/(12d) + (V+s)/(12*L*d))`` (arXiv 2104.04473) up to the final norm."""
    for layers, hidden, heads in ((24, 2304, 24), (96, 12288, 96), (105, 20480, 128)):
        model = find(
            "gpt",
            num_hidden_layers=layers,
            hidden_size=hidden,
            num_attention_heads=heads,
            vocab_size=51200,
            dtype="fp16",
        )
        formula = 12 * layers * hidden**2 + 13 * layers * hidden + (51200 + 2048) * hidden
        assert model.parameters == formula + 2 * hidden


def test_fields_of_golden_file_four_resolve() -> None:
    sizes = {"hidden_size": 12288, "num_hidden_layers": 3, "num_attention_heads": 96, "vocab_size": 50257}
    model = find("gpt", dtype="fp16", **sizes)
    assert (model.intermediate_size, model.head_dim, model.dtype) == (4 * 12288, 128, "fp16")
    with pytest.raises(ScenarioError) as caught:
        find("gpt", hidden_size=12288)
    assert {problem.what for problem in caught.value.problems} == {
        f"{name} is missing" for name in ("num_hidden_layers", "num_attention_heads", "vocab_size")
    }


def test_a_config_that_lacks_fields_names_all_in_its_own_words() -> None:
    with pytest.raises(ScenarioError) as caught:
        from_config({"model_type": "gpt2", "n_embd": 768})
    assert {problem.what for problem in caught.value.problems} == {
        "n_layer is missing",
        "n_head is missing",
        "vocab_size is missing",
    }
    with pytest.raises(ScenarioError) as caught:
        from_config({"model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 2, "vocab_size": 9})
    said = " ".join(problem.what for problem in caught.value.problems)
    for name in ("kv_lora_rank", "n_routed_experts", "v_head_dim", "moe_intermediate_size", "num_attention_heads"):
        assert f"{name} is missing" in said
    with pytest.raises(ScenarioError, match="more experts per token than experts"):
        find("mistralai/Mixtral-8x7B-v0.1", num_experts_per_tok=9)


def test_overrides_reach_families_with_names_of_their_own() -> None:
    assert find("openai-community/gpt2", hidden_size=1536).hidden_size == 1536
    assert find("google-t5/t5-large", num_hidden_layers=2).num_hidden_layers == 2
    half = find("mistralai/Mixtral-8x7B-v0.1", num_experts=4).moe
    assert half is not None and half.experts == 4
    assert find("databricks/dbrx-base", num_hidden_layers=4).num_hidden_layers == 4
    short = find("nvidia/Nemotron-H-8B-Base-8K", num_hidden_layers=10)
    assert short.num_hidden_layers == 10


@pytest.mark.parametrize(
    ("new", "past", "window"), [(5, 0, None), (5, 3, 4), (9, 0, 4), (3, 8, 4), (6, 2, 5), (4, 0, 4)]
)
def test_pairs_are_the_keys_that_queries_see(new: int, past: int, window: int | None) -> None:
    seen = [min(past + i + 1, window or 1 << 30) for i in range(new)]
    assert pairs(new, past, window) == sum(seen)


def test_latent_attention_is_cheaper_absorbed_up_to_171_queries() -> None:
    """DeepSeek-V3: ``S* = c(n+v)/(2c - n - v)`` new tokens beyond a long context."""
    mixer = find("deepseek-ai/DeepSeek-V3").layers[0].mixer
    assert isinstance(mixer, Mla)
    assert (mixer.pair_flop() // 128, mixer.absorbed_pair_flop() // 128) == (640, 2176)
    context = 10**6

    def expanded(new: int) -> int:
        return new * context * mixer.pair_flop() + context * mixer.expand_flop()

    cheaper = [new for new in range(1, 400) if new * context * mixer.absorbed_pair_flop() < expanded(new)]
    assert cheaper == list(range(1, 171))
    assert mixer.kv_elements(8) == 576


def test_reached_experts_lie_between_the_choices_and_all() -> None:
    moe = Moe(64, 6, 1408)
    assert moe.active(1) == pytest.approx(6)
    reached = [moe.active(tokens) for tokens in range(1, 500)]
    assert reached == sorted(reached) and reached[-1] <= 64 and reached[30] < 64
    assert all(value <= min(64, 6 * tokens) + 1e-9 for tokens, value in enumerate(reached, 1))


def test_states_do_not_grow() -> None:
    mamba = Mamba2(128, 64, 128, 8, 4)
    assert mamba.state() == (128 * 64 * 128, (128 * 64 + 2 * 8 * 128) * 3)
    delta = GatedDelta(16, 32, 128, 128, 4)
    assert delta.state(2) == (16 * 128 * 128, (2 * 1024 + 2048) * 3)
    model = find("Qwen/Qwen3-Next-80B-A3B-Instruct")
    assert model.sequence_bytes(0) == model.state_bytes
    assert model.sequence_bytes(1000) - model.sequence_bytes(900) == 100 * 24_576


def test_windows_saturate() -> None:
    model = find("google/gemma-3-27b-it")
    assert model.windows == (1024,)
    assert model.sequence_bytes(1024) == 1024 * (81_920 + 425_984)
    assert model.sequence_bytes(5024) - model.sequence_bytes(1024) == 4000 * 81_920
    pattern = [isinstance(b.mixer, Attention) and b.mixer.window is None for b in model.layers]
    assert [i for i, full in enumerate(pattern) if full] == list(range(5, 62, 6))
    assert find("microsoft/Phi-3.5-mini-instruct").windows == ()  # a window beyond the context is none


def test_multimodal_wrappers_give_their_language_model() -> None:
    inner = {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "num_hidden_layers": 34,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "intermediate_size": 10240,
        "vocab_size": 262208,
        "sliding_window": 1024,
    }
    model = from_config({"model_type": "gemma3", "text_config": inner, "torch_dtype": "bfloat16"})
    assert model.parameters == find("google/gemma-3-4b-it").parameters
    assert model.dtype == "bf16"


JUNK = [None, 0, -1, 1.5, "x", "", [], [1, "a"], [[1]], {}, {"a": 1}, True, 10**30, "auto", 1, 3]


def test_damaged_configs_are_refused_or_read() -> None:
    """Whatever stands in a field: an error of ours that names it, or a model that adds up; never a traceback."""
    draw, entries = random.Random(7), [entry["config"] for entry in catalog().values()]
    refused = 0
    for _ in range(1500):
        config = dict(draw.choice(entries))
        for _ in range(draw.choice([1, 2])):
            more = ["layer_types", "quantization_config", "head_dim", "text_config", "torch_dtype"]
            config[draw.choice([*config, *more])] = draw.choice(JUNK)
        try:
            model = from_config(config)
            assert 0 < model.active_parameters <= model.parameters + model.table_parameters
            assert Shard(model, draw.choice([1, 2, 3])).weight_bytes > 0
        except (ScenarioError, FitError):
            refused += 1
    assert 300 < refused < 1400
