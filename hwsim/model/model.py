"""A network as a sequence of runs of equal layers, from which its parameters, FLOP, cache and state follow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hwsim.model.block import Block, Run, kinds
from hwsim.model.numerics import Format, kv_format
from hwsim.model.parts.attention import Attention
from hwsim.model.parts.dense import Dense
from hwsim.model.parts.kept import Kept
from hwsim.model.parts.mla import Mla
from hwsim.model.parts.moe import Moe
from hwsim.model.precision import Precision

STATE_BYTES = 4  # recurrent states are kept in 32 bit


@dataclass(frozen=True)
class Model:
    """One network: embedding, ``runs`` of layers, final norm and output head; an ``encoder`` before it if it has one.

    ``extras`` are named parameters outside the layers (learned positions, a norm on the embedding, projections).
    ``precision`` says how matrices are stored; ``kv_cache_dtype`` how the cache is (``auto``: like activations).
    ``mtp`` is a layer that predicts further tokens, stored with the model but not part of a pass; it is not counted
    in ``parameters``.  Formulas: docs, "models"; all checked against reference module code.
    """

    hf_id: str
    family: str
    hidden_size: int
    vocab_size: int
    max_position_embeddings: int
    runs: tuple[Run, ...]
    precision: Precision
    tie_word_embeddings: bool = False
    final_norm_bias: bool = False
    final_norm: bool = True
    head: bool = True
    embedding_size: int | None = None
    extras: tuple[tuple[str, int], ...] = ()
    encoder: tuple[Run, ...] = ()
    mtp: tuple[Run, ...] = ()
    mtp_extra: int = 0
    kv_cache_dtype: str = "auto"
    source: str = ""

    # -- layers --------------------------------------------------------------------------------------------------

    @cached_property
    def kinds(self) -> tuple[Run, ...]:
        """Equal layers of the decoder put together: what a pass costs does not depend on their order."""
        return kinds(self.runs)

    @cached_property
    def layers(self) -> tuple[Block, ...]:
        """All layers of the decoder, in order."""
        return tuple(block for count, block in self.runs for _ in range(count))

    @property
    def num_hidden_layers(self) -> int:
        """Layers of the decoder."""
        return sum(count for count, _ in self.runs)

    def _first(self, kind: type) -> object | None:
        for _, block in (*self.runs, *self.encoder):
            for part in (block.mixer, block.feed_forward):
                if isinstance(part, kind):
                    return part
        return None

    @property
    def attention(self) -> Attention | Mla | None:
        """The first attention layer's mixer."""
        found = self._first(Attention) or self._first(Mla)
        return found if isinstance(found, Attention | Mla) else None

    @property
    def moe(self) -> Moe | None:
        """The first mixture of experts."""
        found = self._first(Moe)
        return found if isinstance(found, Moe) else None

    @property
    def num_attention_heads(self) -> int:
        """Query heads of the first attention layer; 0 without attention."""
        return self.attention.heads if self.attention is not None else 0

    @property
    def num_key_value_heads(self) -> int:
        """KV heads of the first attention layer; 1 with latent attention, 0 without attention."""
        return self.attention.kv_heads if isinstance(self.attention, Attention) else int(self.attention is not None)

    @property
    def head_dim(self) -> int:
        """Width of a query head."""
        part = self.attention
        if isinstance(part, Mla):
            return part.qk_nope_head_dim + part.qk_rope_head_dim
        return part.head_dim if part is not None else 0

    @property
    def intermediate_size(self) -> int:
        """Inner width of the first dense feed-forward layer, or of an expert."""
        found = self._first(Dense) or self._first(Moe)
        return found.intermediate_size if isinstance(found, Dense | Moe) else 0

    @property
    def sliding_window(self) -> int | None:
        """The shortest window of any layer."""
        return min(self.windows, default=None)

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """Distinct numbers of keys that layers are limited to, ascending."""
        found = {block.mixer.window for _, block in self.runs if block.mixer is not None}
        for _, block in self.runs:
            if isinstance(block.mixer, Kept):
                found.update(block.mixer.windows)
        return tuple(sorted(window for window in found if window is not None))

    # -- number formats ------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> str:
        """Name of the precision."""
        return self.precision.name

    @property
    def weight_format(self) -> Format:
        """Format of the blocks' matrices, exceptions apart."""
        return self.precision.base

    @cached_property
    def kv_format(self) -> Format:
        """Format of the KV cache (``auto`` resolved)."""
        return kv_format(self.kv_cache_dtype, self.precision.plain)

    # -- parameters ----------------------------------------------------------------------------------------------

    @property
    def table_parameters(self) -> int:
        """The input table."""
        return self.vocab_size * (self.embedding_size or self.hidden_size)

    @property
    def tables(self) -> int:
        """How many tables of the vocabulary are stored: the input and, unless tied, the head."""
        return 2 if self.head and not self.tie_word_embeddings else 1

    @property
    def extra_parameters(self) -> int:
        """Final norm and what else lies outside layers and tables."""
        norms = (1 + bool(self.encoder)) * self.hidden_size * (2 if self.final_norm_bias else 1)
        return norms * self.final_norm + sum(count for _, count in self.extras)

    @cached_property
    def parameters(self) -> int:
        """Exact number of parameters, without ``mtp``."""
        layers = sum(count * block.parameters(self.hidden_size) for count, block in (*self.runs, *self.encoder))
        return layers + self.tables * self.table_parameters + self.extra_parameters

    @cached_property
    def active_parameters(self) -> int:
        """Parameters that multiply one token: without the input table (unless it is the head too) and idle experts."""
        blocks = (*self.runs, *self.encoder)
        idle = sum(
            count * (block.parameters(self.hidden_size) - block.active_parameters(self.hidden_size))
            for count, block in blocks
        )
        table = 0 if self.head and self.tie_word_embeddings else self.table_parameters
        return self.parameters - idle - table

    @property
    def mtp_parameters(self) -> int:
        """Parameters of the layer for further tokens, tables apart."""
        return sum(count * block.parameters(self.hidden_size) for count, block in self.mtp) + self.mtp_extra

    # -- what a sequence keeps -----------------------------------------------------------------------------------

    def _kv(self, windowed: bool) -> int:
        return sum(
            count * block.mixer.kv_elements()
            for count, block in self.runs
            if block.mixer is not None and self.keeps(block) and self.saturates(block) == windowed
        )

    @staticmethod
    def keeps(block: Block) -> bool:
        """Whether a layer keeps keys and values for later tokens: all but those of encoders."""
        return not isinstance(block.mixer, Attention) or block.mixer.causal

    @staticmethod
    def saturates(block: Block) -> bool:
        """Whether the cache of a layer stops growing: within a window, but not where an indexer chooses."""
        return isinstance(block.mixer, Attention) and block.mixer.window is not None

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes that a token keeps for good, over the layers that see all tokens: ``2*k*e*b`` or ``(c+r)*b`` each."""
        return int(self._kv(False) * self.kv_format.bytes)

    @property
    def window_kv_bytes_per_token(self) -> int:
        """Bytes that a token keeps in window layers, until it has left the window."""
        return int(self._kv(True) * self.kv_format.bytes)

    @property
    def index_kv_bytes_per_token(self) -> int:
        """Bytes of indexer keys per token (16 bit, or the cache's format where smaller)."""
        count = sum(count * block.mixer.index_elements() for count, block in self.runs if block.mixer is not None)
        return int(count * self.kv_format.bytes)

    @property
    def cross_kv_bytes_per_token(self) -> int:
        """Bytes of cross-attention per *encoder* token, written once."""
        count = sum(count * block.cross.kv_elements() for count, block in self.runs if block.cross is not None)
        return int(count * self.kv_format.bytes)

    @property
    def state_bytes(self) -> int:
        """Bytes that a sequence keeps whatever its length: recurrent states in 32 bit, tails of convolutions."""
        total = 0.0
        for count, block in self.runs:
            if block.mixer is not None:
                wide, narrow = block.mixer.state()
                total += count * (wide * STATE_BYTES + narrow * self.precision.plain.activation)
        return int(total)

    @property
    def ring_bytes(self) -> int:
        """Bytes that a sequence keeps whatever its length where its cache is kept in another form."""
        rings = [count * block.mixer.ring_elements() for count, block in self.runs if isinstance(block.mixer, Kept)]
        return int(sum(rings) * self.kv_format.bytes)

    def sequence_bytes(self, tokens: int) -> int:
        """Bytes that a sequence of this length keeps when window layers drop what they cannot see."""
        total = self.state_bytes + self.ring_bytes + tokens * (self.kv_bytes_per_token + self.index_kv_bytes_per_token)
        for count, block in self.runs:
            if self.saturates(block) and block.mixer is not None and block.mixer.window is not None:
                seen = min(tokens, block.mixer.window)
                total += int(count * block.mixer.kv_elements() * self.kv_format.bytes) * seen
        return total

    # -- work ----------------------------------------------------------------------------------------------------

    @property
    def flop_per_token_linear(self) -> int:
        """2 FLOP per matrix weight of the blocks that a token meets, without the output head."""
        total = 0
        for count, block in self.runs:
            weights = sum(product.parameters for product in block.products(self.hidden_size))
            if isinstance(block.feed_forward, Moe):
                expert = block.feed_forward.expert(self.hidden_size)
                weights += block.feed_forward.top_k * sum(product.parameters for product in expert)
            total += 2 * count * weights
        return total

    def attention_flop(self, new: int, past: int) -> int:
        """FLOP of causal attention of ``new`` tokens after ``past`` cached ones, over all layers (expanded form)."""
        return sum(
            count * block.mixer.pair_flop() * pairs(new, past, block.mixer.window)
            for count, block in self.runs
            if block.mixer is not None
        )


def pairs(new: int, past: int, window: int | None = None) -> int:
    """(query, key) pairs of causal attention: ``new*past + new*(new+1)/2``, each query seeing at most ``window``."""
    total = new * past + new * (new + 1) // 2
    if window is None or past + new <= window:
        return total
    short = max(0, window - past)  # queries that see fewer keys than the window
    return short * past + short * (short + 1) // 2 + (new - short) * window
