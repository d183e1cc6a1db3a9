"""Number formats by part: what engines and checkpoints quantise, in bytes."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.errors import ScenarioError
from hwsim.model import Shard, find
from hwsim.model.config import from_config
from hwsim.model.numerics import number_format

# Bytes of a block over its elements, as the formats' layouts are published.
BITS = {
    "fp8-block": 8 + 32 / 16384,
    "awq": 4 + 20 / 128,
    "w4a16": 4.125,
    "int4-g64": 4.25,
    "mxfp4": 4.25,
    "nvfp4": 4.5,
    "q4_0": 4.5,
    "q8_0": 8.5,
    "q4_k": 4.5,
    "q6_k": 6.5625,
    "q2_k": 2.625,
    "iq4_xs": 4.25,
}


@pytest.mark.parametrize("name", BITS)
def test_bits_per_weight(name: str) -> None:
    assert 8 * number_format(name).bytes == BITS[name]


# Size of the published GGUF files in GiB (table of llama.cpp's quantize tool, Llama-3-8B; metadata about 8 MiB).
GGUF = {"q4_0": 4.34, "q4_k_m": 4.58, "q5_k_m": 5.33, "q6_k": 6.14, "q8_0": 7.95}


@pytest.mark.parametrize("name", GGUF)
def test_gguf_mixes_weigh_what_the_files_weigh(name: str) -> None:
    model = find("meta-llama/Meta-Llama-3-8B", quantization=name)
    assert Shard(model).weight_bytes / 2**30 == pytest.approx(GGUF[name], rel=0.012)


def test_native_formats_of_checkpoints() -> None:
    """Stored sizes: gpt-oss experts in 4.25 bit, the rest in 16; DeepSeek's matrices in 8 bit, tables in 16."""
    oss = find("openai/gpt-oss-120b")
    assert (oss.dtype, oss.precision.of("experts").name, oss.precision.of("attention").name) == (
        "mxfp4",
        "mxfp4",
        "bf16",
    )
    assert Shard(oss).weight_bytes / 1e9 == pytest.approx(65.2, rel=0.01)  # published: 60.8 GiB
    assert Shard(find("openai/gpt-oss-20b")).weight_bytes / 1e9 == pytest.approx(13.76, rel=0.01)  # 12.8 GiB
    v3 = find("deepseek-ai/DeepSeek-V3")
    assert v3.precision.of("router").name == v3.precision.of("head").name == "bf16"
    assert Shard(v3).weight_bytes == pytest.approx(v3.parameters + 2 * 129280 * 7168 + 58 * 256 * 7168, rel=0.002)
    kimi = find("moonshotai/Kimi-K2.5")
    assert [kimi.precision.of(part).name for part in ("experts", "attention", "shared", "ffn")] == [
        "int4-g32",
        "bf16",
        "bf16",
        "bf16",
    ]


SECTIONS: list[tuple[dict[str, Any], str, float]] = [
    ({"quant_method": "awq", "bits": 4, "group_size": 128}, "awq", 0.5 + 2.5 / 128),
    ({"quant_method": "gptq", "bits": 8, "group_size": 32}, "int8-g32", 1 + 2 / 32),
    ({"quant_method": "fp8"}, "fp8", 1.0),
    ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4", 0.5 + 1 / 64 + 4 / 16384),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", 0.5625),
    (
        {
            "quant_method": "compressed-tensors",
            "config_groups": {
                "group_0": {"weights": {"num_bits": 8, "type": "int"}, "input_activations": {"num_bits": 8}}
            },
            "ignore": ["lm_head"],
        },
        "int8",
        1.0,
    ),
]


@pytest.mark.parametrize(("section", "name", "size"), SECTIONS)
def test_quantization_configs_are_read(section: dict[str, Any], name: str, size: float) -> None:
    config = {
        "model_type": "llama",
        "num_hidden_layers": 2,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "vocab_size": 1000,
        "max_position_embeddings": 512,
        "torch_dtype": "bfloat16",
        "quantization_config": section,
    }
    model = from_config(config)
    assert (model.dtype, model.weight_format.bytes) == (name, size)
    plain = from_config(config, dtype="bf16")
    assert Shard(model).weight_bytes < Shard(plain).weight_bytes
    with pytest.raises(ScenarioError, match="quantization_config"):
        from_config({**config, "quantization_config": {"quant_method": "magic"}})


def test_user_formats() -> None:
    assert find("mistralai/Mixtral-8x7B-v0.1", dtype="mxfp4").precision.of("attention").name == "bf16"
    assert find("meta-llama/Llama-3.1-8B", dtype="mxfp4").precision.of("attention").name == "mxfp4"
    assert find("meta-llama/Llama-3.1-8B", kv_cache_dtype="int8").kv_bytes_per_token == 65_536
    with pytest.raises(ScenarioError, match="did you mean q4_k_m"):
        find("meta-llama/Llama-3.1-8B", quantization="q4_km")
