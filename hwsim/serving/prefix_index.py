"""Which replicas hold which prefix: one index for all of them, walked once per request."""

from __future__ import annotations

from collections.abc import Iterable


class PrefixIndex:
    """Prefix blocks by the chain of all that precede them, each with a bit per replica that has it.

    Blocks are forgotten least recently used first beyond ``capacity`` blocks (0: never).  An entry is two integers in
    a dict, under 100 bytes.
    """

    __slots__ = ("capacity", "holders")

    def __init__(self, capacity: int = 0) -> None:
        self.capacity = capacity
        self.holders: dict[int, int] = {}

    def depths(self, ids: Iterable[int], replicas: int) -> list[int]:
        """How many leading blocks each replica holds."""
        found = [0] * replicas
        chain = depth = 0
        alive = (1 << replicas) - 1
        for key in ids:
            chain = hash((chain, key))
            holders = self.holders.get(chain, 0) & alive
            lost = alive & ~holders
            while lost:
                bit = lost & -lost
                found[bit.bit_length() - 1] = depth
                lost ^= bit
            alive = holders
            if not alive:
                return found
            depth += 1
        while alive:
            bit = alive & -alive
            found[bit.bit_length() - 1] = depth
            alive ^= bit
        return found

    def deepest(self, ids: Iterable[int], among: int) -> tuple[int, int]:
        """The most leading blocks that any of ``among`` (a bit per replica) holds, and which of them hold so many."""
        chain = depth = 0
        holders = self.holders
        for key in ids:
            chain = hash((chain, key))
            found = holders.get(chain, 0) & among
            if not found:
                break
            among = found
            depth += 1
        return depth, among

    def add(self, ids: Iterable[int], replica: int) -> None:
        """``replica`` has computed (or will) the blocks named ``ids``."""
        holders, bit = self.holders, 1 << replica
        chain = 0
        if self.capacity:
            for key in ids:
                chain = hash((chain, key))
                holders[chain] = holders.pop(chain, 0) | bit  # to the young end
            while len(holders) > self.capacity:
                del holders[next(iter(holders))]
        else:
            for key in ids:
                chain = hash((chain, key))
                holders[chain] = holders.get(chain, 0) | bit

    def reached(self, chains: Iterable[int], replicas: int) -> list[int]:
        """``depths`` of blocks that are known by their chains already."""
        found, get = [0] * replicas, self.holders.get
        depth, alive = 0, (1 << replicas) - 1
        for chain in chains:
            holders = get(chain, 0) & alive
            if holders != alive:
                lost = alive ^ holders
                while lost:
                    bit = lost & -lost
                    found[bit.bit_length() - 1] = depth
                    lost ^= bit
                if not holders:
                    return found
                alive = holders
            depth += 1
        while alive:
            bit = alive & -alive
            found[bit.bit_length() - 1] = depth
            alive ^= bit
        return found

    def hold(self, chains: Iterable[int], replica: int) -> None:
        """``add`` of blocks that are known by their chains already."""
        holders, bit = self.holders, 1 << replica
        if self.capacity:
            for chain in chains:
                holders[chain] = holders.pop(chain, 0) | bit  # to the young end
            while len(holders) > self.capacity:
                del holders[next(iter(holders))]
            return
        new = dict.fromkeys(chains, bit)
        for chain in holders.keys() & new.keys():
            new[chain] |= holders[chain]
        holders.update(new)

    def drop(self, chains: Iterable[int], replica: int) -> None:
        """``replica`` has lost the blocks known by ``chains``."""
        holders, others = self.holders, ~(1 << replica)
        for chain in chains:
            left = holders.get(chain, 0) & others
            if left:
                holders[chain] = left
            else:
                holders.pop(chain, None)

    def clear(self, replica: int) -> None:
        """``replica`` has lost everything."""
        others = ~(1 << replica)
        self.holders = {chain: held & others for chain, held in self.holders.items() if held & others}
