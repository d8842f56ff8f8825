from .run_folder import RunFolder as RunFolder
from .throughput import seconds as seconds
from .throughput import state_bytes as state_bytes
from .trainer import Trainer as Trainer
from .trainer import cached_gradients as cached_gradients
from .trainer import train as train
