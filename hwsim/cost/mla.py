"""Time of multi-head latent attention: one latent per token shared by all heads, absorbed in decode."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.cost.gemm import Bodies
from hwsim.cost.line import Line


@dataclass(frozen=True, slots=True)
class MlaLaw:
    """Decode reads ``latent + rope`` elements a token and multiplies all heads with them; prefill expands per head.

    Decode: ``T = floor + per_row*rows + context * max(bytes/(bandwidth*e_m), flop/(peak*e_c))``; with 128 heads of a
    rank a token costs ``2*h*(2*latent + rope)`` FLOP, so many heads make it compute-bound.  Prefill: p-norm of pair
    FLOP at ``nope + rope`` (keys) plus ``value`` and the bytes of queries, keys and values.
    """

    bandwidth: float
    decode_memory: float
    decode_compute: float
    decode_floor: float
    per_row: float
    prefill_compute: float
    prefill_memory: float
    prefill_floor: float
    extra: float
    exponent: float

    def line(
        self,
        rows: int,
        context: int,
        heads: int,
        latent: int,
        rope: int,
        peak: float,
        kv_element_bytes: float,
    ) -> Line:
        """Seconds of one layer for ``rows`` rows of ``context`` tokens together."""
        memory = (latent + rope) * kv_element_bytes / (self.bandwidth * self.decode_memory)
        compute = 2.0 * heads * (2 * latent + rope) / (peak * self.decode_compute)
        return Line(self.decode_floor + self.per_row * rows, max(memory, compute))

    def body(
        self,
        new: int,
        past: int,
        heads: int,
        nope: int,
        rope: int,
        value: int,
        peak: float,
        kv_element_bytes: float,
    ) -> Bodies:
        """Seconds of one layer of causal prefill beyond ``prefill_floor``."""
        pairs2 = new * (2 * past + new + self.extra)
        compute = heads * (nope + rope + value) * pairs2 / (peak * self.prefill_compute)
        size = heads * ((past + new) * (nope + rope + value) + new * (nope + rope + value)) * 2.0
        memory = size / (self.bandwidth * self.prefill_memory)
        p = self.exponent
        return Bodies((compute**p + memory**p) ** (1 / p), compute, memory)
