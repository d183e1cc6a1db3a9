"""Contiguous virtual memory for each request, backed by page-groups on demand."""

from hwsim.serving.contiguous import ContiguousEngine

PART = ContiguousEngine
