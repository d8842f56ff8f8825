"""Ladder: training rungs for real.

A ladder file names a family, a corpus, a recipe and the rungs. `architectures` holds the families with their networks,
`corpora` the data, `training` the trainer and the run folder, `execution` where runs are executed.
"""

import lazy_loader

# A worker that trains needs no law: what fits the curves is imported by the first who asks for it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
