"""A dense decoder: the hyper-parameters that set its parameters, FLOP and KV bytes; all layers are equal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hwsim.model.numerics import Format, kv_format, number_format


@dataclass(frozen=True)
class Model:
    """One network, field names as in ``config.json``.

    Grouped-query attention, gated feed-forward layers and RMSNorm; ``attention_bias`` is a bias on query, key and
    value, ``output_bias`` on the attention output, ``mlp_bias`` on the feed-forward layers, ``qk_norm`` a norm per
    head on queries and keys.  ``dtype`` is the format of the linear layers of the blocks; embedding, head and norms
    stay at the activations' format, as engines keep them.  Formulas: hwsim docs, "models" (attention
    ``d*h*e + 2*d*k*e + h*e*d``, feed-forward ``3*d*f``, norms ``2*d``, all checked against the reference modules).
    """

    hf_id: str
    family: str
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    max_position_embeddings: int
    dtype: str = "bf16"
    kv_cache_dtype: str = "auto"
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    sliding_window: int | None = None
    source: str = ""

    @cached_property
    def weight_format(self) -> Format:
        """Format of the blocks' linear layers."""
        return number_format(self.dtype)

    @cached_property
    def kv_format(self) -> Format:
        """Format of the KV cache (``auto`` resolved)."""
        return kv_format(self.kv_cache_dtype, self.weight_format)

    @property
    def query_size(self) -> int:
        """Width of all query heads together."""
        return self.num_attention_heads * self.head_dim

    @property
    def kv_size(self) -> int:
        """Width of all key (or value) heads together."""
        return self.num_key_value_heads * self.head_dim

    @property
    def linear_parameters_per_layer(self) -> int:
        """Weights of the matrices of one block: what a GEMM reads."""
        attention = self.hidden_size * (2 * self.query_size + 2 * self.kv_size)
        return attention + 3 * self.hidden_size * self.intermediate_size

    @property
    def small_parameters_per_layer(self) -> int:
        """Norms and biases of one block."""
        count = 2 * self.hidden_size
        if self.attention_bias:
            count += self.query_size + 2 * self.kv_size
        if self.output_bias:
            count += self.hidden_size
        if self.mlp_bias:
            count += 2 * self.intermediate_size + self.hidden_size
        if self.qk_norm:
            count += 2 * self.head_dim
        return count

    @property
    def embedding_parameters(self) -> int:
        """The input table and, unless tied, the output head."""
        return self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)

    @cached_property
    def parameters(self) -> int:
        """Exact number of parameters."""
        layer = self.linear_parameters_per_layer + self.small_parameters_per_layer
        return self.num_hidden_layers * layer + self.embedding_parameters + self.hidden_size

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of keys and values of one token over all layers and heads: ``2*L*k*e*b``."""
        return int(2 * self.num_hidden_layers * self.kv_size * self.kv_format.bytes)

    @property
    def flop_per_token_linear(self) -> int:
        """2 FLOP per weight of the blocks, without the output head (only sampled rows go through it)."""
        return 2 * self.num_hidden_layers * self.linear_parameters_per_layer

    def attention_flop(self, new: int, past: int) -> int:
        """FLOP of causal attention of ``new`` tokens after ``past`` cached ones, over all layers.

        ``4*h*e`` per (query, key) pair and layer; pairs are ``new*past + new*(new+1)/2``.
        """
        pairs = new * past + new * (new + 1) // 2
        return 4 * self.num_hidden_layers * self.query_size * pairs
