"""One replica more when a forecast misses the limits, one less when all would be kept with room to spare.

TTFT is forecast as the time of all prompt tokens still to be computed at a replica, TPOT as one decode step with one
more row.  ``low`` is the share of a limit below which one replica is given up, if its rows on the others keep it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.serving.routing import Loads, Sees


class Slo:
    """The worst forecast of all open replicas decides."""

    sees: ClassVar[Sees] = "engines"

    def __init__(self, parameters: Any) -> None:
        self.ttft: float | None = parameters.ttft
        self.tpot: float | None = parameters.tpot
        self.low: float = parameters.low

    def desired(self, loads: Loads, parked: int, coming: int) -> int:
        """At most one more than there are, and none while one is starting."""
        have = len(loads.open) + coming
        if coming:
            return have
        if parked or not loads.open:
            return have + 1
        worst = max([self._share(i, loads, 1) for i in loads.open])
        if worst > 1:
            return have + 1
        more = max([loads.rows[i] for i in loads.open]) // max(have - 1, 1) + 1
        return have - 1 if max([self._share(i, loads, more) for i in loads.open]) < self.low else have

    def _share(self, replica: int, loads: Loads, more: int) -> float:
        """The larger share of its limit that a forecast takes, with so many more rows."""
        assert loads.outlook is not None
        shares = [0.0]
        if self.ttft is not None:
            shares.append(loads.outlook.prefill(replica, loads.backlog[replica], loads) / self.ttft)
        if self.tpot is not None:
            shares.append(loads.outlook.decode(replica, loads, more) / self.tpot)
        return max(shares)


PART = Slo
