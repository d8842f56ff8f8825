"""Architectures: families with a size rule, each a folder with a specification and a network."""

import lazy_loader

# Importing the package does not import torch; the first name that needs torch does.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
