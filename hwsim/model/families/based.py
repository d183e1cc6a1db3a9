"""BASED: gated convolutions, Taylor linear attention and short windows, each in the layers that the config lists."""

from __future__ import annotations

from typing import Any

from hwsim.model.block import Block
from hwsim.model.parts.convolution import Convolution
from hwsim.model.parts.taylor import Taylor
from hwsim.model.reader import Reader


def fields(config: Reader) -> dict[str, Any]:
    """``linear_layers`` and ``window_layers`` are lists of layer numbers, other layers are convolutions."""
    hidden = config.hidden
    window = config.attention(window=config.count("sliding_window", 256))
    linear = Taylor(window.heads, config.count("feature_dim", 16), window.head_dim)
    convolution = Convolution(2 * hidden, config.count("conv_kernel", 3), bias=True)
    lines, short = config.indices("linear_layers"), config.indices("window_layers")
    mixers = [linear if i in lines else window if i in short else convolution for i in range(config.layers)]
    return config.body([Block(mixer, config.dense()) for mixer in mixers], tie=True)


PART = fields
