"""The zip's bytes."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.package import archive

pytestmark = pytest.mark.slow


NAMES = st.text("abcé_.", min_size=1, max_size=6).filter(lambda name: set(name) != {"."})
FILES = st.dictionaries(NAMES, st.binary(max_size=200), min_size=1, max_size=6)


@settings(max_examples=60)
@given(files=FILES, order=st.randoms())
def test_a_zip_depends_on_names_and_contents_alone(files: dict[str, bytes], order: object) -> None:
    """Not on the order in which files were made, nor on when."""
    import random
    import tempfile

    assert isinstance(order, random.Random)
    made = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as place:
            folder, target = Path(place, "in"), Path(place, "out.zip")
            folder.mkdir()
            names = list(files)
            order.shuffle(names)
            for name in names:
                (folder / name).write_bytes(files[name])
            archive.write_archive(folder, target)
            made.append(target.read_bytes())
            with zipfile.ZipFile(target) as read:
                assert {name: read.read(name) for name in read.namelist()} == files
                assert read.namelist() == sorted(files, key=str.encode)
    assert made[0] == made[1]
