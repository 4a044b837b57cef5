"""Damage to the shards that ``dali_cutmix.pack`` writes."""

import tarfile


def overwrite(tar, name, content):
    """Write over the first bytes of a member."""
    with tarfile.open(tar) as archive:
        at = archive.getmember(name).offset_data
    with tar.open("r+b") as file:
        file.seek(at)
        file.write(content)
