"""A fat tree that all NICs share: leaves under a core, non-blocking or oversubscribed."""

from __future__ import annotations

from hwsim.hardware.network import Tree

PART = Tree
