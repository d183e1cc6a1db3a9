"""How much of a device's peaks a software stack reaches: one YAML per device and stack."""

from hwsim.cost.efficiency.coefficients import Efficiency, find

__all__ = ["Efficiency", "find"]
