"""Images on S3: the same as on the disk, also where one is bad or missing, and after a resume."""

import os
import subprocess
import sys

import pytest

import dali_cutmix as dc
from pipelines import imagenet
from tests.helpers import tally


@pytest.fixture(scope="module")
def bucket(photo_folder):
    """A server for S3 in a process of its own, with the photographs in a bucket."""
    boto3 = pytest.importorskip("boto3")
    environment = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",  # at the end a loader still reads ahead from the server that was stopped
    }
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket="photos")
        for path in sorted(photo_folder.rglob("*.jpg")):
            client.upload_file(str(path), "photos", f"train set/{path.parent.name}/{path.name}")
        yield client
    finally:
        server.kill()
        server.wait()
        os.environ.clear()
        os.environ.update(before)


SERVER = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
time.sleep(600)
"""


def listed(bucket):
    keys = [entry["Key"] for entry in bucket.list_objects_v2(Bucket="photos", Prefix="train set/")["Contents"]]
    return [(f"s3://photos/{key}", "abcd".index(key.split("/")[1])) for key in keys]


def test_images_on_s3_are_those_on_the_disk(bucket, photo_folder):
    remote = imagenet.train(
        lambda **order: dc.read_files(listed(bucket), **order), batch_size=7, size=16, device="cpu", num_classes=4
    )
    local = imagenet.train(photo_folder, batch_size=7, size=16, device="cpu")
    for _ in range(2):
        for theirs, ours in zip(remote, local, strict=True):
            assert all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in zip(ours, theirs, strict=True))


def test_a_bad_one_and_a_missing_one_on_s3_are_named_and_replaced(bucket, tmp_path):
    bucket.put_object(Bucket="photos", Key="other/bad.jpg", Body=b"this is no picture" * 20)
    bad = [("s3://photos/other/bad.jpg", 1), ("s3://photos/train set/d/gone.jpg", 3)]
    samples = listed(bucket) + bad

    def make(**options):
        return imagenet.val(
            lambda **order: dc.read_files(samples, **order), batch_size=5, size=16, resize=16, device="cpu", **options
        )

    with pytest.raises(dc.DecodeError, match=r"s3://photos/other/bad\.jpg \(not an image: it begins"):
        list(make())
    loader = make(on_error="replace", max_bad=0.1, bad_log=tmp_path / "bad.jsonl")
    assert sum(len(labels) for _, labels in loader) == 26
    recorded = (tmp_path / "bad.jsonl").read_text()
    assert all(path in recorded for path, _ in bad)
    assert "cannot be read: " in recorded
    tally.count("bad", 2)


def test_it_goes_on_from_a_state_on_s3(bucket):
    def make():
        return imagenet.train(
            lambda **order: dc.read_files(listed(bucket), **order), batch_size=7, size=16, device="cpu", num_classes=4
        )

    loader = make()
    next(iter(loader))
    resumed = make()
    resumed.load_state_dict(loader.state_dict())
    rest = list(resumed)
    assert len(rest) == len(resumed) - 1
    for ours, theirs in zip(loader, rest, strict=False):
        assert all(a.numpy().tobytes() == b.numpy().tobytes() for a, b in zip(ours, theirs, strict=True))
    tally.count("resumes")
