"""Models: a finished network of anyone's; so far where its weights lie, read and written tensor by tensor."""

from rung.models.floats import FLOATS, from_float32, to_float32
from rung.models.weights import TensorInfo, Weights, open_weights
from rung.models.writing import SHARD, WeightsWriter, carry_over, new_folder

__all__ = [
    "FLOATS",
    "SHARD",
    "TensorInfo",
    "Weights",
    "WeightsWriter",
    "carry_over",
    "from_float32",
    "new_folder",
    "open_weights",
    "to_float32",
]
