"""Treatments: what is done to a finished model: merging, pruning, distilling."""

import lazy_loader

# Importing the package imports neither the ladder nor torch; the first name that needs them does.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
