"""A mixture of experts: a router sends each token to a few feed-forward networks, beside shared ones."""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.model.product import Product, split


@dataclass(frozen=True, slots=True)
class Moe:
    """``experts`` networks of width ``intermediate_size``, ``top_k`` per token, and shared ones of a summed width.

    ``expert_bias`` is a bias on every matrix of an expert, ``router_bias`` one number per expert (a bias or a
    balancing correction), ``shared_gate`` a learned weight of the shared experts.  ``latent`` is the width experts
    work at where it is not the hidden size (down and up projections around them).  ``predictor_rank``: each expert
    has a predictor of the neurons that fire, ``(d + f) * R`` weights (ReLU-sparse models).
    """

    experts: int
    top_k: int
    intermediate_size: int
    gated: bool = True
    shared_intermediate_size: int = 0
    shared_gate: bool = False
    router_bias: bool = False
    expert_bias: bool = False
    latent: int | None = None
    predictor_rank: int = 0
    shared_gated: bool = True

    def products(self, hidden: int, ranks: int = 1) -> tuple[Product, ...]:
        """What every token goes through: router (on every rank), shared experts, latent projections."""
        found = [Product("router", self.experts, hidden, "router")]
        if self.shared_intermediate_size:
            width = self.shared_intermediate_size // ranks
            found.append(Product("shared_up", width * (2 if self.shared_gated else 1), hidden, "shared"))
            found.append(Product("shared_down", hidden, width, "shared"))
        if self.latent is not None:
            found.append(Product("latent_down", self.latent, hidden, "shared"))
            found.append(Product("latent_up", hidden, self.latent, "shared"))
        return tuple(found)

    def expert(self, hidden: int, ranks: int = 1) -> tuple[Product, Product]:
        """The two products of one expert whose width is cut over ``ranks``."""
        width, outer = split(self.intermediate_size, ranks), self.latent or hidden
        return (
            Product("expert_up", width * (2 if self.gated else 1), outer, "experts"),
            Product("expert_down", outer, width, "experts"),
        )

    def expert_parameters(self, hidden: int, ranks: int = 1) -> int:
        """Weights of one expert (its share of the width), biases and predictor included."""
        width, outer = split(self.intermediate_size, ranks), self.latent or hidden
        matrices = 3 if self.gated else 2
        count = matrices * width * outer + self.predictor_rank * (outer + width)
        return count + ((matrices - 1) * width + outer if self.expert_bias else 0)

    def small(self, hidden: int, ranks: int = 1) -> int:
        """Router bias and shared gate, on every rank; biases of experts count with the experts."""
        return (self.experts if self.router_bias else 0) + (hidden if self.shared_gate else 0)

    def misfit(self, ranks: int) -> str:
        """Why the shared width does not divide over the ranks; empty when it does."""
        width = self.shared_intermediate_size
        return f"shared expert width {width} does not divide over the ranks" if width % ranks else ""

    def active(self, tokens: float) -> float:
        """Expected number of distinct experts that ``tokens`` tokens reach when routed uniformly.

        ``E * (1 - (1 - t/E)**T)``; skewed routing reaches fewer.
        """
        return self.experts * (1.0 - (1.0 - self.top_k / self.experts) ** tokens)
