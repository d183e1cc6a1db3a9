"""Whether a request is let in at all, asked once the router has named its replica."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from hwsim.serving.routing import Loads, Seen, Sees


class Gate(Protocol):
    """Refuses requests before they queue, so that those inside can be served in time.

    ``sees`` says what of the replicas it looks at, as with a router.
    """

    sees: ClassVar[Sees]

    def refusal(self, request: Seen, replica: int, loads: Loads) -> str | None:
        """Why ``request`` is turned away, or None to let it in."""
        ...
