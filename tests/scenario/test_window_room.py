"""KV room of models with window layers: as many requests of the longest kind as the layers' own pages allow."""

from __future__ import annotations

import pytest

from hwsim.model import find
from hwsim.model.sharding import Shard
from hwsim.scenario.load import load
from hwsim.scenario.machine import Machine, machines


def machine(model: str, engine: str, length: int, block: int = 16) -> Machine:
    return machines(
        load(
            {
                "hwsim": 1,
                "name": "windows",
                "model": {"like": model},
                "system": {"node": "hgx-h100"},
                "serve": {
                    "engine": engine,
                    "tensor_parallel_size": 2,
                    "max_model_len": length,
                    "block_size": block,
                    "kv_cache_memory_bytes": "20 GiB",
                },
                "workload": {
                    "requests": 1,
                    "arrivals": {"kind": "closed", "concurrency": 1},
                    "input_tokens": 10,
                    "output_tokens": 3,
                },
            }
        )
    )[0]


@pytest.mark.parametrize("model", ["openai/gpt-oss-120b", "google/gemma-3-27b-it", "mistralai/Mistral-7B-v0.1"])
@pytest.mark.parametrize("length", [1000, 32_768])
def test_concurrency_is_that_of_the_layers_own_pages(model: str, length: int) -> None:
    found = machine(model, "vllm-0.33", length)
    assert found.shard is not None and found.room is not None
    pages = -(-length // 16)
    each = found.shard.full_kv_bytes_per_token * pages * 16 + found.shard.window_bytes(length, 16)
    assert found.room.num_gpu_blocks / pages == pytest.approx(20 * 2**30 / each, rel=0.01)


def test_an_engine_without_window_pools_keeps_every_layer_to_the_end() -> None:
    rooms = [machine("google/gemma-3-27b-it", engine, 32_768).room for engine in ("vllm-0.6.6", "vllm-0.33")]
    assert rooms[0] is not None and rooms[1] is not None
    assert 4 < rooms[1].num_gpu_blocks / rooms[0].num_gpu_blocks < 6.2  # five of six layers see 1,024 tokens


def test_pages_that_a_window_touches() -> None:
    shard = Shard(find("openai/gpt-oss-120b"), tensor_parallel_size=1)
    per_token = shard.window_kv_bytes_per_token
    assert shard.window_bytes(50) == 50 * per_token and shard.window_bytes(5000) == 128 * per_token
    assert shard.window_bytes(5000, 16) == 144 * per_token  # 127 tokens back may begin inside a ninth page
    assert shard.window_bytes(40, 16) == 48 * per_token
    assert shard.window_bytes(10**6, 16) < 10**6 * per_token
