"""Attention kernels that look keys up through block tables: a multiple of the time of those on contiguous memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwsim.cost.decode import DecodeLaw
from hwsim.cost.efficiency.coefficients import Efficiency
from hwsim.cost.gemm import Bodies
from hwsim.cost.line import Line
from hwsim.cost.prefill import PrefillLaw


@dataclass(frozen=True, slots=True)
class PagedPrefill(PrefillLaw):
    """Prefill attention that takes ``factor`` times as long as ``inner``."""

    inner: PrefillLaw
    factor: float

    def body(
        self,
        new: int,
        past: int,
        heads: float,
        kv_heads: float,
        head_dim: int,
        peak: float,
        kv_element_bytes: float,
        window: int | None = None,
    ) -> Bodies:
        """Seconds of one layer beyond the floor."""
        found = self.inner.body(new, past, heads, kv_heads, head_dim, peak, kv_element_bytes, window)
        return Bodies(*[part * self.factor for part in found])


@dataclass(frozen=True, slots=True)
class PagedDecode(DecodeLaw):
    """Decode attention that takes ``factor`` times as long as ``inner``."""

    inner: DecodeLaw
    factor: float

    def line(
        self, rows: int, context: int, heads: float, kv_heads: float, head_dim: int, kv_element_bytes: float
    ) -> Line:
        """Seconds of one layer: the affine piece."""
        found = self.inner.line(rows, context, heads, kv_heads, head_dim, kv_element_bytes)
        return found._replace(fixed=found.fixed * self.factor, per_token=found.per_token * self.factor)


def paged(laws: Efficiency, prefill: float, decode: float) -> Efficiency:
    """The laws with attention that takes a multiple of its time; latent attention is as it was."""
    return replace(
        laws,
        prefill=PagedPrefill(laws.prefill.kernels, laws.prefill, prefill),
        decode=PagedDecode(laws.decode.kernels, laws.decode, decode),
    )
