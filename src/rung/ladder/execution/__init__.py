"""Execution: a ladder's runs given to a launcher, here, on SLURM or on Ray."""

import lazy_loader

# Torch is imported with the first name that needs it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
