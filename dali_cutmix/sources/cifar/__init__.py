"""CIFAR-10 and CIFAR-100: the archives as they are distributed, converted once to a RecordIO file.

archive ──▶ (``pickle`` reads the two layouts that are pickled) ──▶ record ──▶ RecordIO
"""

from dali_cutmix.sources.cifar.archive import is_cifar
from dali_cutmix.sources.cifar.record import convert_cifar

__all__ = ["convert_cifar", "is_cifar"]
