"""Every expert is as likely."""

from __future__ import annotations

from pathlib import Path

from hwsim.model.routing import Routing


def routing(experts: int, *, folder: Path) -> Routing:
    """Even shares."""
    return Routing.uniform(experts)


PART = routing
