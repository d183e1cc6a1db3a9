"""What one rank of a model holds and multiplies: Megatron's column and row split, as engines do it.

Query, key, value, gate and up are split by columns, output and down by rows, embedding and head by vocabulary; norms
are on every rank.  With more ranks than KV heads, heads are replicated; latent caches always are.  Experts are cut in
width or spread whole.  Simplification: ranks are equal (but for pipeline stages, of which a shard is one).
"""

from __future__ import annotations

from functools import cached_property

from hwsim.errors import FitError, Problem
from hwsim.model.block import Block, Run, kinds
from hwsim.model.gemm import Experts, Gemm
from hwsim.model.layout import Layout
from hwsim.model.model import STATE_BYTES, Model
from hwsim.model.parts.kept import Kept
from hwsim.model.parts.moe import Moe
from hwsim.model.product import Product

VOCABULARY_PADDING = 64  # engines pad the table so that it divides over the ranks


class Shard:
    """One rank of ``layout`` at pipeline ``stage``; sizes that do not divide raise ``FitError``."""

    def __init__(
        self, model: Model, tensor_parallel_size: int = 1, *, layout: Layout | None = None, stage: int = 0
    ) -> None:
        self.model = model
        self.layout = layout if layout is not None else Layout(tensor_parallel_size)
        self.stage = stage
        self.tensor_parallel_size = self.layout.tensor_parallel_size
        problems = self.layout.problems() or self._problems()
        if problems:
            raise FitError(problems)

    def _problems(self) -> list[Problem]:
        tp, model = self.tensor_parallel_size, self.model
        parts = [
            part
            for _, block in (*kinds(model.runs), *kinds(model.encoder))
            for part in (block.mixer, block.cross, block.feed_forward)
            if part is not None
        ]
        problems: list[Problem] = []
        for part in dict.fromkeys(parts):
            reason = part.misfit(tp)
            if reason:
                sizes = [str(size) for size in (1, 2, 4, 8, 16) if not part.misfit(size)]
                message = f"{model.hf_id}: {reason}"
                problems.append(Problem(message, "tensor_parallel_size", str(tp), "one of " + ", ".join(sizes)))
        stages = self.layout.pipeline_parallel_size
        if stages > model.num_hidden_layers:
            message = f"{model.hf_id} has {model.num_hidden_layers} layers"
            problems.append(Problem(message, "pipeline_parallel_size", str(stages), "at most a stage per layer"))
        for part in dict.fromkeys(part for part in parts if isinstance(part, Moe)):
            ranks, width = self.layout.expert_parallel_size, self.layout.expert_tensor_size
            if part.experts % ranks:
                message = f"{model.hf_id}: {part.experts} experts do not divide over the ranks"
                problems.append(Problem(message, "expert_parallel_size", str(ranks)))
            if part.intermediate_size % width:
                message = f"{model.hf_id}: expert width {part.intermediate_size} does not divide over {width} ranks"
                problems.append(Problem(message, "tensor_parallel_size", str(tp)))
        return list(dict.fromkeys(problems))

    # -- layers of this stage ------------------------------------------------------------------------------------

    @property
    def first(self) -> bool:
        """Whether the embedding (and an encoder) is here."""
        return self.stage == 0

    @property
    def last(self) -> bool:
        """Whether the final norm and the head are here."""
        return self.stage == self.layout.pipeline_parallel_size - 1

    @cached_property
    def kinds(self) -> tuple[Run, ...]:
        """Layers of the stage, equal ones together."""
        if self.layout.pipeline_parallel_size == 1:
            return self.model.kinds
        sizes = self.layout.stages(self.model.num_hidden_layers)
        start = sum(sizes[: self.stage])
        return kinds(Run(1, block) for block in self.model.layers[start : start + sizes[self.stage]])

    @property
    def num_hidden_layers(self) -> int:
        """Layers of the stage."""
        return sum(count for count, _ in self.kinds)

    def stages(self) -> tuple[Shard, ...]:
        """A rank of every pipeline stage."""
        return tuple(Shard(self.model, layout=self.layout, stage=i) for i in range(self.layout.pipeline_parallel_size))

    # -- products ------------------------------------------------------------------------------------------------

    @property
    def attention_heads(self) -> int:
        """Query heads of a rank in the first attention layer."""
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

    def _gemms(self, runs: tuple[Run, ...]) -> tuple[Gemm, ...]:
        counts: dict[Product, int] = {}
        for count, block in runs:
            for product in block.products(self.model.hidden_size, self.tensor_parallel_size):
                counts[product] = counts.get(product, 0) + count
        return tuple(
            Gemm(each.name, each.n, each.k, times, each.part, self.model.precision.of(each.part, each.name))
            for each, times in counts.items()
        )

    @cached_property
    def gemms(self) -> tuple[Gemm, ...]:
        """The products of one pass over the blocks, for every token of the batch; experts and the head are apart."""
        return self._gemms(self.kinds)

    @cached_property
    def encoder_gemms(self) -> tuple[Gemm, ...]:
        """Products per encoder token: the encoder's own, on the first stage, and what decoder layers keep of it."""
        if not self.model.encoder:
            return ()
        own = self._gemms(kinds(self.model.encoder)) if self.first else ()
        for count, block in self.kinds:
            for each in block.seen_products(self.model.hidden_size, self.tensor_parallel_size):
                own += (Gemm(*each[:3], count, each.part, self.model.precision.of(each.part)),)
        return own

    def _experts(self, runs: tuple[Run, ...]) -> tuple[Experts, ...]:
        counts: dict[Moe, int] = {}
        for count, block in runs:
            if isinstance(block.feed_forward, Moe):
                counts[block.feed_forward] = counts.get(block.feed_forward, 0) + count
        hidden, width = self.model.hidden_size, self.layout.expert_tensor_size
        found = []
        for moe, times in counts.items():
            up, down = moe.expert(hidden, width)
            form = self.model.precision.of("experts", up.name)
            matrices = up.parameters * form.bytes
            matrices += down.parameters * self.model.precision.of("experts", down.name).bytes
            held = moe.experts / self.layout.expert_parallel_size
            whole = moe.expert_parameters(hidden, width)
            found.append(Experts(moe, times, held, up, down, form, whole, matrices))
        return tuple(found)

    @cached_property
    def experts(self) -> tuple[Experts, ...]:
        """Layers with routed experts."""
        return self._experts(self.kinds)

    @property
    def head(self) -> Gemm:
        """The output head, for sampled rows only."""
        width = self.model.embedding_size or self.model.hidden_size
        return Gemm("lm_head", self.vocab_size, width, 1, "head", self.model.precision.of("head"))

    # -- bytes ---------------------------------------------------------------------------------------------------

    @cached_property
    def linear_bytes(self) -> float:
        """Bytes of the blocks' matrices on this rank, experts apart."""
        return sum(gemm.weight_bytes * gemm.times for gemm in self.gemms)

    @cached_property
    def expert_bytes(self) -> float:
        """Bytes of all routed experts on this rank, their biases and predictors at the activations' format."""
        plain = self.model.precision.plain.bytes
        total = 0.0
        for each in self.experts:
            rest = each.parameters - each.up.parameters - each.down.parameters
            total += each.times * each.held * (each.matrix_bytes + rest * plain)
        return total

    @property
    def head_bytes(self) -> float:
        """Bytes of the output head on this rank (the embedding table itself when tied)."""
        head = self.head
        return head.n * head.k * head.format.bytes

    @property
    def table_bytes(self) -> float:
        """Bytes of the embedding on this rank, where the stage has it."""
        width = self.model.embedding_size or self.model.hidden_size
        return self.vocab_size * width * self.model.precision.of("embeddings").bytes

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights on this rank: blocks, experts, norms and biases, embedding and head."""
        model, ranks = self.model, self.tensor_parallel_size
        total = self.linear_bytes + self.expert_bytes
        small = sum(count * block.small(model.hidden_size, ranks) for count, block in self.kinds)
        tied = model.tie_word_embeddings or not model.head
        if self.first:
            total += self.table_bytes
        if self.last and model.head and not (tied and self.first):
            total += self.head_bytes
        total += sum(gemm.weight_bytes * gemm.times for gemm in self.encoder_gemms)
        if self.first and model.encoder:
            runs = kinds(model.encoder)
            total += sum(e.times * e.held * e.parameters * model.precision.plain.bytes for e in self._experts(runs))
            small += sum(count * block.small(model.hidden_size, ranks) for count, block in runs)
        if self.last:
            small += model.extra_parameters
        return int(total + small * model.precision.plain.bytes)

    def active_bytes(self, tokens: float) -> float:
        """Bytes of the blocks that ``tokens`` tokens make a rank read: experts only as far as they are reached."""
        met = tokens * self.layout.data_parallel_size
        return self.linear_bytes + sum(
            each.times * each.moe.active(met) / self.layout.expert_parallel_size * each.matrix_bytes
            for each in self.experts
        )

    # -- what sequences keep -------------------------------------------------------------------------------------

    def _kv(self, windowed: bool) -> int:
        elements = sum(
            count * block.mixer.kv_elements(self.tensor_parallel_size)
            for count, block in self.kinds
            if self.model.keeps(block) and self.model.saturates(block) == windowed and block.mixer is not None
        )
        return int(elements * self.model.kv_format.bytes)

    @cached_property
    def kv_bytes_per_token(self) -> int:
        """Bytes of a token's place in the page pool of this rank: ``2*L*ceil(k/p)*e*b``, all layers kept to the end."""
        return self.full_kv_bytes_per_token + self.window_kv_bytes_per_token + self.index_kv_bytes_per_token

    @cached_property
    def full_kv_bytes_per_token(self) -> int:
        """KV bytes that a token keeps for good on this rank, in the layers that see all tokens."""
        return self._kv(False)

    @cached_property
    def window_kv_bytes_per_token(self) -> int:
        """KV bytes of a token in window layers of this rank, of use until it leaves the window."""
        return self._kv(True)

    def window_bytes(self, tokens: int, block_size: int = 1) -> int:
        """KV bytes that a sequence keeps in window layers of this rank: whole pages, none that lies behind a window.

        A window of ``w`` tokens that slides over pages of ``b`` touches at most ``ceil((w - 1) / b) + 1`` of them.
        """
        total, width = 0.0, self.model.kv_format.bytes
        for count, block in self.kinds:
            mixer = block.mixer
            if mixer is None or mixer.window is None or not (self.model.keeps(block) and self.model.saturates(block)):
                continue
            pages = min(-(-tokens // block_size), -(-(mixer.window - 1) // block_size) + 1)
            total += count * mixer.kv_elements(self.tensor_parallel_size) * width * pages * block_size
        return int(total)

    @property
    def index_kv_bytes_per_token(self) -> int:
        """Bytes of indexer keys per token, on every rank."""
        count = sum(n * block.mixer.index_elements() for n, block in self.kinds if block.mixer is not None)
        return int(count * self.model.kv_format.bytes)

    @property
    def state_bytes(self) -> int:
        """Bytes that a sequence keeps on this rank whatever its length."""
        narrow_bytes = self.model.precision.plain.activation
        total = 0
        for count, block in self.kinds:
            if block.mixer is not None:
                wide, narrow = block.mixer.state(self.tensor_parallel_size)
                total += count * (wide * STATE_BYTES + narrow * narrow_bytes)
        return total

    @property
    def ring_bytes(self) -> int:
        """KV bytes that a sequence keeps on this rank whatever its length (caches kept in another form)."""
        ranks = self.tensor_parallel_size
        rings = [
            count * block.mixer.ring_elements(ranks) for count, block in self.kinds if isinstance(block.mixer, Kept)
        ]
        return int(sum(rings) * self.model.kv_format.bytes)

    @property
    def ring_tokens(self) -> int:
        """Tokens of the longest request that rings were made for."""
        return max((block.mixer.longest for _, block in self.kinds if isinstance(block.mixer, Kept)), default=0)

    # -- work ----------------------------------------------------------------------------------------------------

    @cached_property
    def flop_per_token_linear(self) -> int:
        """FLOP of the blocks' products for one token of this rank's requests, experts included."""
        total = sum(gemm.n * gemm.k * gemm.times for gemm in self.gemms)
        for each in self.experts:
            share = each.moe.top_k / self.layout.expert_parallel_size * self.layout.data_parallel_size
            total += int(each.times * share * (each.up.parameters + each.down.parameters))
        return 2 * total

    def activation_peak_bytes(self, max_num_batched_tokens: int, max_num_seqs: int) -> int:
        """Peak of activations on this rank: the largest live tensors of a block, and the logits in 32 bit.

        Live at once are residual + normed input + gate and up, or residual + gate and up + their product; experts
        hold ``top_k`` copies of what a token needs.  An estimate, as engines' own profile run is the truth: tokens x
        live width + sequences x vocabulary x 4.
        """
        model = self.model
        live = max((self._live(block) for _, block in self.kinds), default=2 * model.hidden_size)
        activations = max_num_batched_tokens * live * model.precision.plain.activation
        return activations + min(max_num_seqs, max_num_batched_tokens) * model.vocab_size * 4

    def _live(self, block: Block) -> int:
        """Elements per token alive at the worst moment of a block."""
        hidden, ranks = self.model.hidden_size, self.tensor_parallel_size
        widths = [2 * hidden]
        if block.mixer is not None:
            widths.append(2 * hidden + sum(p.n for p in block.mixer.products(hidden, ranks) if p.n != hidden))
        inner = block.feed_forward
        if isinstance(inner, Moe):
            up, down = inner.expert(hidden, self.layout.expert_tensor_size)
            share = inner.top_k * self.layout.data_parallel_size / self.layout.expert_parallel_size
            widths.append(hidden + int(share * max(up.n + down.k, down.k + down.n)))
        elif inner is not None:
            up = inner.products(hidden, ranks)[0]
            widths += [2 * hidden + up.n, hidden + up.n + inner.intermediate_size // ranks]
        return max(widths)
