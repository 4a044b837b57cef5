"""What DALI's message says of an error: whether the storage is at fault, and the line that says most."""

import pytest

from dali_cutmix.bad_samples import is_about_storage, short_reason

IN_PYTHON = "Error in CPU operator `nvidia.dali.fn.python_function`,\nencountered:\n\nDLTensorPythonFunction error: "


@pytest.mark.parametrize(
    "reason",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: b'/data/a.jpg'",
        "PermissionError: [Errno 13] Permission denied: b'/data/a.jpg'",
        "TimeoutError: [Errno 110] Connection timed out: b'/data/a.jpg'",
        "OSError: [Errno 5] Input/output error: b'/data/a.jpg'",
        "OSError: the file is shorter than its index says; copy it again",
    ],
)
def test_every_error_of_the_operating_system_is_one_of_the_storage(reason):
    assert is_about_storage(RuntimeError(IN_PYTHON + reason))


@pytest.mark.parametrize(
    "message", [f"{IN_PYTHON}SampleError: its label is -3", "out of memory", "CUDA runtime API error"]
)
def test_what_is_wrong_with_a_sample_or_the_device_is_not(message):
    assert not is_about_storage(RuntimeError(message))


@pytest.mark.parametrize("kind", ["SampleError", "DamagedHeaderError", "NotSupportedError"])
def test_the_reason_is_told_without_the_name_of_the_exception(kind):
    assert short_reason(RuntimeError(f"{IN_PYTHON}{kind}: its label is -3")) == "its label is -3"
