"""Benchmarks: ``python -m bench NAME``, one package or module for each name.

::

    loaders    throughput of this library's loader and of other loaders, side by side
    decode     DALI's JPEG decoder alone
    kernel     the fused pass alone
    step       training steps with the loader, compared with steps on synthetic data
    startup    time and memory until a loader of ImageNet's length is ready
    tune       the fastest arguments of the loader on a machine
    soak       a long run with interruptions and damaged files
    gpu        the GPU's tests and the most informative of these benchmarks, within a few minutes
    gallery    pictures of mixed batches

    common     what several of these need; results: their JSON
"""
