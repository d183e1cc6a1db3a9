"""Rules of launch options: each sets its options on the rows that it names and on no others."""

from __future__ import annotations

from hwsim.study.launch import Setup, options
from hwsim.study.protocol import protocol

RULES = [
    {"engine": ["trtllm"], "beyond_prompt": 1500},
    {"engine": ["trtllm"], "model": ["llama"], "prompt": 1024, "answer": 128, "most_tp": 4, "serve": {"a": 1, "b": 2}},
    {"serve": {"b": 3}},
]


def test_a_rule_sets_its_options_where_all_that_it_names_fits() -> None:
    fits = Setup("trtllm 1.0", "meta/Llama-3", 8, 1024, 128, 4)
    assert options(RULES, fits) == {"max_num_batched_tokens": 1024 + 8 + 1500, "a": 1, "b": 3}
    for other in (
        fits._replace(engine="vllm 0.11"),
        fits._replace(model="Qwen3"),
        fits._replace(prompt=1000),
        fits._replace(answer=1),
        fits._replace(tp=8),
    ):
        assert "a" not in options(RULES, other) and options(RULES, other)["b"] == 3


def test_committed_protocols_launch_servers_as_their_clients_do() -> None:
    lab = protocol("lab")
    assert lab.launch(Setup("trtllm 1.0.0rc3", "Qwen/Qwen3-32B", 16, 1024, 512)) == {"max_num_batched_tokens": 2540}
    assert lab.cache("trtllm 1.0.0rc3") == "fp8" and lab.cache("vllm 0.12.0") is None
    public = protocol("inferencex")
    assert public.cache("vllm 0.12.0") == "fp8"
    few, many = (Setup("sglang 0.5.9", "deepseek-ai/DeepSeek-R1", clients) for clients in (4, 64))
    assert public.launch(few)["scheduler_recv_interval"] < public.launch(many)["scheduler_recv_interval"]
    assert set(protocol("queued").launch(Setup("vLLM", "m", 1))) == {"site"}
