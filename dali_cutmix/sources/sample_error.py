"""SampleError: a sample whose bytes were read, and are not what they should be."""


class SampleError(ValueError):
    """A sample is damaged: its record or its label does not hold what the format says.

    An OSError, in contrast, means that its bytes could not be read: the storage is at fault, and may recover.
    """
