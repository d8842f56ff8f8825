"""Training: the trainer, the worker around it, and the folder that holds a run."""

import lazy_loader

# Torch is imported with the first name that needs it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
