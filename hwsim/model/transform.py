"""KV transforms: a model whose attention over all tokens keeps its cache in another form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.model.block import runs
from hwsim.model.model import Model
from hwsim.model.parts.attention import Attention
from hwsim.model.parts.kept import Fetch, Heads, Kept, Rebuild
from hwsim.part import Parts

TRANSFORMS = Parts("hwsim.model.transforms")


class Form:
    """What a transform makes of one attention layer; ``of`` turns it into the layer."""

    def __init__(self, *groups: Heads, rebuild: Rebuild | None = None, fetch: Fetch | None = None) -> None:
        self.groups, self.rebuild, self.fetch = groups, rebuild, fetch

    def of(self, mixer: Attention, longest: int) -> Kept:
        """The layer with its cache in this form, for sequences of up to ``longest`` tokens."""
        own = {field.name: getattr(mixer, field.name) for field in fields(Attention)}
        return Kept(**own, groups=self.groups, rebuild=self.rebuild, fetch=self.fetch, longest=longest)


# A transform: the layer, the hidden size and the bytes of a cached element; its own parameters follow by name, and the
# number of the layer (``layer``) where its module says ``BY_LAYER``.
Transform = Callable[..., Form]


def transformed(
    model: Model, kind: str, parameters: Mapping[str, Any], *, longest: int = 1 << 62, where: str = "serve.kv_transform"
) -> Model:
    """``model`` with every layer of causal softmax attention over all tokens transformed; others stay as they are.

    ``ScenarioError`` if it has none: latent attention, scans and windows of the model's own are what they are.
    """
    make: Transform = TRANSFORMS.get(kind)
    by_layer = getattr(TRANSFORMS.module(kind), "BY_LAYER", False)
    blocks, touched = [], 0
    for number, block in enumerate(model.layers):
        mixer = block.mixer
        if isinstance(mixer, Attention) and mixer.causal and mixer.window is None and block.cross is None:
            more = {"layer": number} if by_layer else {}
            form = make(mixer, model.hidden_size, model.kv_format.bytes, **parameters, **more)
            block, touched = replace(block, mixer=form.of(mixer, longest)), touched + 1
        blocks.append(block)
    if not touched or model.encoder:
        raise ScenarioError.of(
            f"{kind} is for layers of softmax attention over all tokens, of which {model.hf_id} has none",
            where=where,
            expected="another model, or no kv_transform",
        )
    return replace(model, runs=runs(blocks))


def packed(bits: int, group: int, element_bytes: float) -> float:
    """Bytes of a value of ``bits``, with scale and zero point of 16 bits per ``group``, over ``element_bytes``."""
    return (bits + 32 / group) / 8 / element_bytes
