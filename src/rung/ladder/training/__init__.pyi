from .run_folder import RunFolder as RunFolder
from .throughput import activation_bytes as activation_bytes
from .throughput import require_possible as require_possible
from .throughput import seconds as seconds
from .throughput import state_bytes as state_bytes
from .trainer import Trainer as Trainer
from .trainer import cached_gradients as cached_gradients
from .trainer import train as train
