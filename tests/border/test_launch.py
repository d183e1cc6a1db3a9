"""Launch commands: read as vLLM's own parser reads them, written back to the same settings, every mistake named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main
from hwsim.cli.launch import vllm
from hwsim.cli.launch.vllm_command import read
from hwsim.cli.launch.vllm_flags import KNOWN, MAPPED, PLAIN, SWITCHES, UNMODELLED
from hwsim.errors import ScenarioError
from hwsim.scenario.load import load

MODEL = "meta-llama/Llama-3.3-70B-Instruct"


@pytest.mark.parametrize(
    ("flags", "settings"),
    [
        ("-tp 4", {"serve.tensor_parallel_size": 4}),
        ("-tp4 -pp=2", {"serve.tensor_parallel_size": 4, "serve.pipeline_parallel_size": 2}),
        ("--tensor_parallel_size=8", {"serve.tensor_parallel_size": 8}),
        ("--tensor-par 2", {"serve.tensor_parallel_size": 2}),
        (
            "--max-model-len 32K --max-num-batched-tokens 8k",
            {"serve.max_model_len": 32768, "serve.max_num_batched_tokens": 8000},
        ),
        ("--max-model-len -1", {"serve.max_model_len": "auto"}),
        (
            "--no-enable-prefix-caching --async-scheduling",
            {"serve.enable_prefix_caching": False, "serve.async_scheduling": True},
        ),
        ("--enforce-eager", {"serve.cuda_graph": False}),
        ("--cuda-graph-sizes 1 2 4 --port 1", {"serve.cuda_graph": [1, 2, 4]}),
        ("--dtype bfloat16 --kv-cache-dtype fp8_e5m2", {"model.dtype": "bf16", "model.kv_cache_dtype": "fp8"}),
        ("-q fp8 --dtype auto", {"model.dtype": "fp8"}),
        ("--gpu-memory-utilization 0.85", {"serve.gpu_memory_utilization": 0.85}),
        ("--scheduling-policy priority", {"serve.scheduling_policy": "priority"}),
        (
            '--speculative-config \'{"model": "a/b", "num_speculative_tokens": 4}\'',
            {"serve.speculate": {"kind": "draft", "model": "a/b", "num_speculative_tokens": 4}},
        ),
        ("--hf-overrides '{\"num_hidden_layers\": 2}'", {"model.num_hidden_layers": 2}),
        ("--host 0.0.0.0 --trust-remote-code --served-model-name a b", {}),
    ],
)
def test_flags(flags: str, settings: dict[str, Any]) -> None:
    for command in (f"vllm serve {MODEL} {flags}", f"A=1 B=2 vllm serve {flags} --model {MODEL}"):
        assert read(command).settings == {"model.like": MODEL, **settings}


def test_the_old_entry_point_and_line_ends() -> None:
    command = read(f"python3 -m vllm.entrypoints.openai.api_server \\\n  --model {MODEL} \\\n  -tp 2")
    assert command.settings == {"model.like": MODEL, "serve.tensor_parallel_size": 2}


def test_what_is_not_simulated_is_named() -> None:
    command = read(f"vllm serve {MODEL} --enable-lora --max-loras 4 --port 80")
    assert command.unmodelled == ["--enable-lora", "--max-loras 4"] and command.plain == ["--port 80"]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (f"vllm serve {MODEL} --tensor-parallel-sise 4", "did you mean --tensor-parallel-size?"),
        (f"vllm serve {MODEL} --max-num 4", "could be several"),
        (f"vllm serve {MODEL} -tp", "has no value"),
        (f"vllm serve {MODEL} -tp x", "no whole number"),
        (f"vllm serve {MODEL} --gpu-memory-utilization 90", "no share"),
        (f"vllm serve {MODEL} other/model", "a second model"),
        (f"vllm serve {MODEL} --dtype int3", "expected auto"),
        (f"vllm serve {MODEL} --speculative-config {{", "no JSON"),
        (f"vllm serve {MODEL} 'x", "no command line"),
        ("vllm serve -tp 4", "names no model"),
        ("ollama run llama3", "not a launch command"),
        ("", "not a launch command"),
    ],
)
def test_mistakes_are_named(command: str, says: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read(command)
    assert says in str(caught.value)


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        read(f"vllm serve {MODEL} --foo 3 --dtype zz -tp 0.5")
    assert len(caught.value.problems) == 3


def test_the_lists_of_flags_do_not_overlap() -> None:
    assert not set(MAPPED) & PLAIN and not set(MAPPED) & UNMODELLED and not PLAIN & UNMODELLED
    assert set(KNOWN) >= SWITCHES


COMMAND = (
    f"vllm serve {MODEL} --quantization fp8 --kv-cache-dtype fp8 --tensor-parallel-size 4 --max-num-seqs 64 "
    "--max-model-len 32000 --gpu-memory-utilization 0.9 --no-enable-prefix-caching"
)


def test_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "scenario", "x", "--from-vllm", COMMAND, "-n", "dgx-h100"]) == 0
    assert main(["check", "x.yaml"]) == 0
    capsys.readouterr()
    assert main(["export", "x.yaml", "--to", "vllm"]) == 0
    out = capsys.readouterr().out
    assert read(out).settings == read(COMMAND).settings
    assert main(["export", "x.yaml", "--to", "sglang"]) == 0
    out = capsys.readouterr().out
    for part in ("--tp-size 4", "--max-running-requests 64", "--disable-radix-cache", "--kv-cache-dtype fp8_e4m3"):
        assert part in out
    assert main(["export", "x.yaml", "--to", "perfetto"]) == 2


def test_a_command_for_each_pool() -> None:
    golden = Path(__file__).parents[2] / "scenarios" / "golden" / "1-pd-heterogeneous.yaml"
    text = vllm.PART(load(golden))
    assert text.count("vllm serve") == 2 and "kv_producer" in text and "kv_consumer" in text
    assert "pool prefill, 2 copies" in text
