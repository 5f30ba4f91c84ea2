"""General distillation of a pruned student (paper App. I): the native engine's.

Its teacher is asked while it learns, and says its whole distribution; on a vocabulary that GPUs share, that would have
to be gathered. The student has been pruned, so it and its teacher fit one GPU.
"""

from supertiny.engines.native.recover import recover

__all__ = ["recover"]
