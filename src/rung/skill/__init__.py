"""Skill: from loss to what a model can do, and which measure can tell."""

import lazy_loader

# Importing the package imports none of its files; the first name that is used does.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
