"""Everything that depends on DALI's internals.

- ``requirement``: the import of DALI, with an error that says how to install it
- ``pipeline_options``: device, threads, prefetch and seed of a pipeline
- ``pipeline_template``: live pipelines from an unbuilt one
- ``pipeline_shutdown``: the end of live pipelines and of the threads that run them
- ``graph_nodes``: outputs of an unbuilt graph, and what they were made from
- ``decoding_part``: the operators of a graph that read and decode, without what follows
- ``some_samples``: a function that some samples pass through
- ``external_sources``: data from Python; these four and ``pipeline_…`` alone use DALI's private names
- ``pipeline_checkpoint``: checkpoints that do not depend on how a graph decodes
- ``checkpoint_check``: refusal of damaged ones
- ``verb``: a mark for functions that add nodes to a graph
- ``libnvjpeg``: find and load the nvJPEG that DALI decodes with
"""

from dali_cutmix._dali import requirement  # noqa: F401  (first: a missing DALI is reported before all else)

# isort: split
from dali_cutmix._dali import pipeline_template
from dali_cutmix._dali.checkpoint_check import MOST, Place, check_checkpoint
from dali_cutmix._dali.decoding_part import decoding_part, part_checkpoint
from dali_cutmix._dali.graph_nodes import nearest, pipeline_outputs
from dali_cutmix._dali.libnvjpeg import Nvjpeg, library, library_path, load
from dali_cutmix._dali.pipeline_checkpoint import at_iteration, localized, moved, portable
from dali_cutmix._dali.pipeline_options import pipeline_options
from dali_cutmix._dali.pipeline_shutdown import shut_down, start_worker
from dali_cutmix._dali.some_samples import change_some
from dali_cutmix._dali.verb import verb

__all__ = [
    "MOST",
    "Nvjpeg",
    "Place",
    "at_iteration",
    "change_some",
    "check_checkpoint",
    "decoding_part",
    "library",
    "library_path",
    "load",
    "localized",
    "moved",
    "nearest",
    "part_checkpoint",
    "pipeline_options",
    "pipeline_outputs",
    "pipeline_template",
    "portable",
    "shut_down",
    "start_worker",
    "verb",
]
