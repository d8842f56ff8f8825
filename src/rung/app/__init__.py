"""App: the questions of the command line as local pages, with their state in the address."""

import lazy_loader

# What the server is made of is an extra: importing the package does not import it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
