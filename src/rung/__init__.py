"""Rung: from a table of training runs to a scaling law, a forecast and its uncertainty.

Everything public is reachable from here and is imported when it is first used, so `import rung` stays light. The
names and where they live stand in `__init__.pyi`, once, for Python and for type checkers alike.

    >>> import rung
    >>> rung.Law.parse("E + A / N^alpha").coefficient_names
    ('E', 'A', 'alpha')
"""

import lazy_loader

from rung.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
