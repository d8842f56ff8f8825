"""Architectures: families with a size rule, each a folder with its specification and its network."""

import lazy_loader

# Torch is imported with the first name that needs it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
