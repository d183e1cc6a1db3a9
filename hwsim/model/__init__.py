"""What a network is: hyper-parameters from a Hugging Face ``config.json`` to layers, operations and bytes.

``find`` gives a :class:`Model` by Hugging Face id or path, ``Shard`` what one tensor-parallel rank of it holds and
multiplies.  Nothing here knows hardware; time comes from ``hwsim.cost``.
"""

from hwsim.model.find import find
from hwsim.model.gemm import Gemm
from hwsim.model.model import Model
from hwsim.model.sharding import Shard

__all__ = ["Gemm", "Model", "Shard", "find"]
