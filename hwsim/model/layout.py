"""Over how many ranks a replica is spread, and by what: tensors, layers, requests, experts."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.errors import Problem


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes named as engines name them; a replica has ``tensor * pipeline * data`` ranks.

    ``data_parallel_size`` ranks each hold their own requests and attention and meet in the experts.
    ``expert_parallel_size`` 1 cuts every expert over ``tensor * data`` ranks; at ``tensor * data`` each rank holds
    whole experts; between the two, groups.  ``sequence_parallel`` splits the residual stream between the products:
    an all-reduce becomes a reduce-scatter and an all-gather of the same bytes, norms work on a share of the tokens.
    """

    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    data_parallel_size: int = 1
    expert_parallel_size: int = 1
    sequence_parallel: bool = False

    @property
    def ranks(self) -> int:
        """Devices of the replica."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size

    @property
    def expert_tensor_size(self) -> int:
        """Over how many ranks the width of one expert is cut."""
        return max(1, self.tensor_parallel_size * self.data_parallel_size // self.expert_parallel_size)

    def problems(self) -> list[Problem]:
        """Sizes that no layout can have."""
        names = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "expert_parallel_size")
        found = [
            Problem("impossible parallel size", name, str(getattr(self, name)), "a whole number above zero")
            for name in names
            if getattr(self, name) < 1
        ]
        group = self.tensor_parallel_size * self.data_parallel_size
        if not found and group % self.expert_parallel_size:
            expected = f"a divisor of tensor_parallel_size x data_parallel_size = {group}"
            found.append(
                Problem("impossible parallel size", "expert_parallel_size", str(self.expert_parallel_size), expected)
            )
        return found

    def stages(self, layers: int) -> list[int]:
        """Layers of each pipeline stage: equal, what is left over goes to the stages before the last (as vLLM)."""
        count = self.pipeline_parallel_size
        sizes = [layers // count] * count
        for i in range(layers % count):
            sizes[-2 - i] += 1
        return sizes
