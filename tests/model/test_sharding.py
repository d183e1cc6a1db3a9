"""Laws of splitting a model: what ranks hold and multiply adds up to the model, whatever the layout."""

from __future__ import annotations

import pytest

from hwsim.errors import FitError
from hwsim.model import Shard, find
from hwsim.model.collectives import block_collectives, head_collectives
from hwsim.model.find import catalog
from hwsim.model.layout import Layout
from hwsim.model.parts.attention import Attention

# Products that every rank computes whole: latents, routers, low-rank terms, indexers.
WHOLE = {
    "kv_a",
    "qkv_a",
    "router",
    "index_q",
    "index_k",
    "latent_down",
    "latent_up",
    "mix_down",
    "mix_up",
    "decay_down",
}


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_products_of_ranks_add_up(ranks: int) -> None:
    checked = 0
    for name in catalog():
        model = find(name)
        try:
            Shard(model, ranks)
        except FitError:
            continue
        for _, block in model.kinds:
            if isinstance(block.mixer, Attention) and block.mixer.kv_heads % ranks:
                continue  # KV heads repeat
            for whole, part in zip(
                block.products(model.hidden_size), block.products(model.hidden_size, ranks), strict=True
            ):
                times = 1 if whole.name in WHOLE else ranks
                if (whole.name, part.parameters * times) != (part.name, whole.parameters):
                    assert "mamba2" in model.family or "nemotron" in model.family, (name, whole, part)  # groups repeat
                    assert part.parameters * times > whole.parameters
                checked += 1
    assert checked > 300


@pytest.mark.parametrize("name", ["Qwen/Qwen3-30B-A3B", "deepseek-ai/DeepSeek-V3", "openai/gpt-oss-120b"])
def test_experts_are_cut_or_spread_and_none_is_lost(name: str) -> None:
    model = find(name)
    whole = Shard(model).expert_bytes
    for layout in (Layout(4), Layout(4, expert_parallel_size=4), Layout(2, 1, 4, 8), Layout(1, 1, 8, 8)):
        group = layout.tensor_parallel_size * layout.data_parallel_size
        shard = Shard(model, layout=layout)
        assert shard.expert_bytes * group == pytest.approx(whole, rel=2e-3)  # an expert's output bias repeats
        assert shard.weight_bytes < Shard(model, layout.tensor_parallel_size).weight_bytes + 1
    one = Shard(model).flop_per_token_linear
    assert Shard(model, layout=Layout(1, 1, 8, 8)).flop_per_token_linear == one  # each rank works on others' tokens too


@pytest.mark.parametrize("stages", [2, 3, 4, 7])
@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-8B", "google/gemma-2-9b", "ai21labs/Jamba-v0.1"])
def test_stages_add_up(name: str, stages: int) -> None:
    model = find(name)
    parts = Shard(model, layout=Layout(1, stages)).stages()
    assert [part.num_hidden_layers for part in parts] == Layout(1, stages).stages(model.num_hidden_layers)
    assert sum(part.num_hidden_layers for part in parts) == model.num_hidden_layers
    again = 2 * model.table_parameters if model.tie_word_embeddings else 0  # a tied table is on both ends
    assert sum(part.weight_bytes for part in parts) == 2 * model.parameters + again
    assert sum(part.kv_bytes_per_token for part in parts) == Shard(model).kv_bytes_per_token
    assert sum(part.state_bytes for part in parts) == model.state_bytes


def test_stages_are_cut_as_engines_cut_them() -> None:
    assert Layout(1, 4).stages(34) == [8, 9, 9, 8]
    assert Layout(1, 2).stages(5) == [3, 2]


def test_collectives_of_each_kind_of_parallelism() -> None:
    model = find("mistralai/Mixtral-8x7B-v0.1")
    message = 100 * 4096 * 2
    assert block_collectives(Shard(model), 100) == ()
    (tensor,) = block_collectives(Shard(model, 4), 100)
    assert (tensor.operation, tensor.ranks, tensor.size, tensor.times) == ("all_reduce", 4, message, 65)
    sequence = block_collectives(Shard(model, layout=Layout(4, sequence_parallel=True)), 100)
    assert [each.operation for each in sequence] == ["reduce_scatter", "all_gather"]
    assert sum(each.link_bytes for each in sequence) == tensor.link_bytes
    experts = block_collectives(Shard(model, layout=Layout(1, 1, 8, 8)), 100)
    reached = 8 * (1 - (7 / 8) ** 2)
    assert [(each.name, each.operation, each.times) for each in experts] == [
        ("dispatch", "all_to_all", 32),
        ("combine", "all_to_all", 32),
    ]
    assert experts[0].size == pytest.approx(reached * message)
    first, last = Shard(model, layout=Layout(2, 2)).stages()
    assert [each.name for each in block_collectives(first, 100)] == ["sum of parts", "next stage"]
    assert block_collectives(first, 100)[1].size == message / 2
    assert [each.name for each in block_collectives(last, 100)] == ["sum of parts"]
    assert head_collectives(first, 5) == () and head_collectives(last, 5)[0].size == 5 * 32000 * 2


def test_latent_caches_repeat_on_every_rank() -> None:
    model = find("deepseek-ai/DeepSeek-V3")
    assert Shard(model, 8).kv_bytes_per_token == model.kv_bytes_per_token == 70_272


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        (Layout(1, 40), "32 layers"),
        (Layout(2, expert_parallel_size=3), "divisor of tensor_parallel_size"),
        (Layout(3), "do not divide"),
        (Layout(1, 1, 3, 3), "8 experts do not divide"),
        (Layout(0), "impossible parallel size"),
    ],
)
def test_impossible_layouts_are_refused(layout: Layout, says: str) -> None:
    with pytest.raises(FitError, match=says):
        Shard(find("mistralai/Mixtral-8x7B-v0.1"), layout=layout)
