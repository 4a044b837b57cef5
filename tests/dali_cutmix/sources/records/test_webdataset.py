"""Webdataset: components by extension, indexes that are generated on first use, tars that are cut off."""

import os
from functools import partial

import pytest

import dali_cutmix as dc
from tests.helpers import tally
from tests.helpers.record_loaders import delivered, loader_of
from tests.helpers.records import write_webdataset


def test_a_sample_that_lacks_a_component_is_refused_or_skipped(tmp_path, samples, index):
    from webdataset import TarWriter

    with TarWriter(str(tmp_path / "a.tar")) as writer:
        for i, (jpeg, label) in enumerate(samples):
            image = {} if i == 3 else {"jpg": jpeg}
            writer.write({"__key__": f"{i:05d}"} | image | ({} if i == 5 else {"cls": label}) | {"txt": "x"})
    if index:
        from tests.helpers.records import tool

        tool("wds2idx", tmp_path / "a.tar", tmp_path / "a.idx")
    read = partial(dc.read_webdataset, tmp_path / "a.tar")
    told = r"2 of 24 samples lack image or label \(sample 3 has cls, txt; .*'txt': 24.* give missing='skip' to leave"
    with pytest.raises(ValueError, match=told):
        delivered(read)
    assert delivered(read, missing="skip") == [sample for i, sample in enumerate(samples) if i not in (3, 5)]
    with pytest.raises(ValueError, match="missing='empty' given; allowed are 'error' and 'skip'"):
        delivered(read, missing="empty")
    tally.count("bad", 2)


def test_other_extensions_may_be_named(tmp_path, samples):
    from webdataset import TarWriter

    with TarWriter(str(tmp_path / "a.tar"), encoder=False) as writer:
        for i, (jpeg, label) in enumerate(samples):
            writer.write({"__key__": f"x/{i}", "seg.jpeg": jpeg[:9], "img.jpeg": jpeg, "class": str(label).encode()})
    assert delivered(partial(dc.read_webdataset, tmp_path / "a.tar", image="img.jpeg", label="class")) == samples


def test_a_label_that_is_no_number_is_named(tmp_path, samples):
    tar, *_ = write_webdataset(tmp_path, [(samples[0][0], "cat")], 9, index=False)
    told = r"00000\.jpg \(class cat/00000\.cls: its label is 'cat'; it must be a whole"
    with pytest.raises(dc.DecodeError, match=told):
        list(loader_of(partial(dc.read_webdataset, tar), "val", batch_size=1))
    tally.count("bad")


def test_the_index_that_was_made_is_kept_until_the_tar_changes(tmp_path, samples, monkeypatch):
    tar, *_ = write_webdataset(tmp_path, samples[:5], 9, index=False)
    read = partial(dc.read_webdataset, tar)
    assert delivered(read) == samples[:5]
    with monkeypatch.context() as patch:
        patch.setattr("dali_cutmix.sources.webdataset.tar_index.tar_members", None)
        assert delivered(read) == samples[:5]
    write_webdataset(tmp_path, samples[5:9], 9, index=False)
    assert delivered(read) == samples[5:9]


def test_a_tar_that_ends_between_two_samples_is_cut_off_too(tmp_path, samples):
    import tarfile

    (tar, *_) = write_webdataset(tmp_path, samples, 30, index=False)
    with tarfile.open(tar) as archive:
        at = archive.getmembers()[9].offset
    os.truncate(tar, at)
    with pytest.raises(ValueError, match=r"cut off, or not a tar file \(its end is missing\)"):
        delivered(partial(dc.read_webdataset, tar))
    tally.count("bad")
