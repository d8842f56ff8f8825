"""Execution: the runs of a ladder on a launcher: this process, local workers, SLURM or Ray."""

import lazy_loader

# Importing the package does not import torch; the first name that needs torch does.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
