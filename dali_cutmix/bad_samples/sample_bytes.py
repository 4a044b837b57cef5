"""The bytes of a sample, or what is wrong with it; an error of the storage says nothing about the sample."""

import numpy as np

from dali_cutmix.bad_samples.fault import Fault
from dali_cutmix.sources import Source
from dali_cutmix.utils import NotRegularFileError, TooLargeError


def sample_bytes(source: Source, number: int) -> np.ndarray | Fault | OSError:
    """Read a sample.

    Returns:
        Its bytes, 1-D uint8; what is wrong with them or with its file; or the error of the storage.
    """
    try:
        return source.encoded(number)
    except (NotRegularFileError, TooLargeError) as error:
        return Fault("not supported", str(error.strerror))
    except OSError as error:
        return error
    except ValueError as error:
        return Fault("damaged", str(error))


def missing(error: OSError) -> Fault:
    """The fault of a sample whose file cannot be read."""
    return Fault("missing", f"cannot be read: {error.strerror or error}")
