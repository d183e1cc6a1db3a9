"""What one tensor-parallel rank of a model holds and multiplies: Megatron's column and row split, as engines do it.

Query, key, value, gate and up are split by columns, output and down by rows, embedding and head by vocabulary; norms
are on every rank.  With more ranks than KV heads, heads are replicated.  Simplification: ranks are equal.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from hwsim.errors import FitError, Problem
from hwsim.model.model import Model

VOCABULARY_PADDING = 64  # engines pad the table so that it divides over the ranks


class Gemm(NamedTuple):
    """A matrix product ``out[m, n] = in[m, k] @ weight[k, n]`` of one rank, ``times`` times per pass."""

    name: str
    n: int
    k: int
    times: int


class Shard:
    """One of ``tensor_parallel_size`` equal ranks of a model; sizes that do not divide raise ``FitError``."""

    def __init__(self, model: Model, tensor_parallel_size: int = 1) -> None:
        self.model = model
        self.tensor_parallel_size = tensor_parallel_size
        problems = self._problems()
        if problems:
            raise FitError(problems)

    def _problems(self) -> list[Problem]:
        tp, model = self.tensor_parallel_size, self.model
        where = "tensor_parallel_size"
        if tp < 1:
            return [Problem("impossible parallel size", where, str(tp), "a whole number above zero")]
        problems: list[Problem] = []
        if model.num_attention_heads % tp:
            heads = model.num_attention_heads
            sizes = [str(size) for size in (1, 2, 4, 8, 16) if not heads % size]
            problems.append(
                Problem(
                    f"{model.hf_id} has {heads} attention heads, which do not divide over the ranks",
                    where,
                    str(tp),
                    "one of " + ", ".join(sizes),
                )
            )
        kv = model.num_key_value_heads
        if kv % tp and tp % kv:
            problems.append(Problem(f"{kv} KV heads neither divide over {tp} ranks nor repeat on them", where, str(tp)))
        if model.intermediate_size % tp:
            problems.append(
                Problem(
                    f"intermediate_size {model.intermediate_size} does not divide over the ranks",
                    where,
                    str(tp),
                )
            )
        return problems

    @property
    def attention_heads(self) -> int:
        """Query heads of a rank."""
        return self.model.num_attention_heads // self.tensor_parallel_size

    @property
    def kv_heads(self) -> int:
        """KV heads of a rank: at least one, replicated when there are more ranks than heads."""
        return -(-self.model.num_key_value_heads // self.tensor_parallel_size)

    @property
    def intermediate_size(self) -> int:
        """Feed-forward width of a rank."""
        return self.model.intermediate_size // self.tensor_parallel_size

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding (and head) of a rank, padding included."""
        if self.tensor_parallel_size == 1:
            return self.model.vocab_size
        padded = -(-self.model.vocab_size // VOCABULARY_PADDING) * VOCABULARY_PADDING
        return -(-padded // self.tensor_parallel_size)

    @cached_property
    def gemms(self) -> tuple[Gemm, ...]:
        """The products of one pass over the blocks, for every token of the batch; the head is :attr:`head`."""
        model, layers = self.model, self.model.num_hidden_layers
        query = self.attention_heads * model.head_dim
        qkv = query + 2 * self.kv_heads * model.head_dim
        return (
            Gemm("qkv", qkv, model.hidden_size, layers),
            Gemm("o", model.hidden_size, query, layers),
            Gemm("gate_up", 2 * self.intermediate_size, model.hidden_size, layers),
            Gemm("down", model.hidden_size, self.intermediate_size, layers),
        )

    @property
    def head(self) -> Gemm:
        """The output head, for sampled rows only."""
        return Gemm("lm_head", self.vocab_size, self.model.hidden_size, 1)

    @property
    def linear_parameters(self) -> int:
        """Weights of the blocks' matrices on this rank."""
        return sum(gemm.n * gemm.k * gemm.times for gemm in self.gemms)

    @property
    def linear_bytes(self) -> float:
        """Bytes of the blocks' matrices on this rank."""
        return self.linear_parameters * self.model.weight_format.bytes

    @property
    def head_bytes(self) -> int:
        """Bytes of the output head on this rank (the embedding table itself when tied)."""
        return self.vocab_size * self.model.hidden_size * self.model.weight_format.activation

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights on this rank: blocks, norms and biases, embedding and head."""
        model = self.model
        tables = 1 if model.tie_word_embeddings else 2
        small = model.num_hidden_layers * self._small_parameters() + model.hidden_size
        return int(self.linear_bytes + tables * self.head_bytes + small * model.weight_format.activation)

    def _small_parameters(self) -> int:
        """Norms are whole on every rank; biases of column-split products are split, those of row-split ones not."""
        model = self.model
        count = 2 * model.hidden_size
        if model.attention_bias:
            count += (self.attention_heads + 2 * self.kv_heads) * model.head_dim
        if model.output_bias:
            count += model.hidden_size
        if model.mlp_bias:
            count += 2 * self.intermediate_size + model.hidden_size
        if model.qk_norm:
            count += 2 * model.head_dim
        return count

    @property
    def kv_bytes_per_token(self) -> int:
        """KV bytes of one token on this rank, over all layers: ``2*L*ceil(k/p)*e*b``."""
        model = self.model
        return int(2 * model.num_hidden_layers * self.kv_heads * model.head_dim * model.kv_format.bytes)

    @property
    def flop_per_token_linear(self) -> int:
        """FLOP of the blocks' products for one token on this rank."""
        return 2 * self.linear_parameters

    def activation_peak_bytes(self, max_num_batched_tokens: int, max_num_seqs: int) -> int:
        """Peak of activations on this rank: the largest live tensors of a block, and the logits in 32 bit.

        Live at once are residual + normed input + gate and up, or residual + gate and up + their product.
        An estimate, as engines' own profile run is the truth: tokens x live width + sequences x vocabulary x 4.
        """
        hidden, inner = self.model.hidden_size, self.intermediate_size
        qkv = self.gemms[0].n
        live = max(2 * hidden + 2 * inner, hidden + 3 * inner, 2 * hidden + qkv)
        activations = max_num_batched_tokens * live * self.model.weight_format.activation
        return activations + min(max_num_seqs, max_num_batched_tokens) * self.model.vocab_size * 4
