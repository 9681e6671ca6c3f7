"""An image's archive is read, or refused: nothing in it reaches what is outside of the folder for its files."""

import random
import tarfile
from pathlib import Path

import pytest

from erip.ops.image import archive
from erip.ops.image.errors import ImageError
from tests.support import oci


def test_layers_lie_over_each_other_and_the_digest_is_that_of_the_manifest(tmp_path: Path) -> None:
    layers = [
        [oci.folder("opt"), oci.file("opt/a", b"1")],
        [oci.folder("opt"), oci.file("opt/b", b"2"), oci.link("c", "opt/a")],
    ]
    packed = oci.write(tmp_path / "image.tar", *layers)
    files = tmp_path / "root"
    files.mkdir()
    image = archive.unpack(packed, files)
    assert sorted(str(path.relative_to(files)) for path in files.rglob("*")) == ["c", "opt", "opt/a", "opt/b"]
    assert (files / "opt" / "b").read_bytes() == b"2"
    assert image == archive.read(oci.write(tmp_path / "again.tar", *layers))
    assert image.config["User"] == "10001:10001"
    assert image.digest != archive.read(oci.write(tmp_path / "other.tar", layers[0])).digest
    assert len(image.layers) == 2
    assert image.size > 0


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        ([[oci.file("../out", b"1")]], "outside"),
        ([[oci.file("/out", b"1")]], "outside"),
        ([[oci.link("way", "/"), oci.file("way/tmp/erip-out", b"1")]], "outside"),
        ([[oci.link("way", "..")], [oci.folder("way")]], "a folder and a link"),
        ([[oci.link("way", ".."), oci.link("hard", "way/image.tar", tarfile.LNKTYPE)]], "outside"),
        ([[oci.link("hard", "../image.tar", tarfile.LNKTYPE)]], "outside"),
        ([[oci.file("one", b"1")], [oci.file(".wh.one")]], "removes"),
        ([[oci.file("one", b"1")], [oci.file("one", b"2")]], "two layers"),
        ([[oci.link("disk", "", tarfile.BLKTYPE)]], "neither a file"),
        ([[oci.link("pipe", "", tarfile.FIFOTYPE)]], "neither a file"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_reaches_outside_or_is_no_image_of_ours_is_refused(
    tmp_path: Path, layers: list[list[oci.Member]], why: str
) -> None:
    packed = oci.write(tmp_path / "image.tar", *layers)
    before = packed.read_bytes()
    files = tmp_path / "root"
    files.mkdir()
    with pytest.raises(ImageError, match=why):
        archive.unpack(packed, files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.tar", "root"]
    assert packed.read_bytes() == before


def test_two_images_and_a_blob_of_another_content_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="2 images"):
        archive.read(oci.write(tmp_path / "two.tar", [oci.file("a", b"1")], images=2))
    packed = oci.write(tmp_path / "image.tar", [oci.file("a", b"1")])
    packed.write_bytes(packed.read_bytes().replace(b"10001:10001", b"10001:00000"))
    with pytest.raises(ImageError, match="another"):
        archive.read(packed)


def test_bytes_that_are_no_image_are_refused_and_nothing_else_happens(tmp_path: Path) -> None:
    good = oci.write(tmp_path / "image.tar", [oci.folder("opt"), oci.file("opt/a", b"1" * 5000)]).read_bytes()
    chance = random.Random(7)
    for number in range(150):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 20)):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        if number % 3 == 0:
            bad = bad[: chance.randrange(len(bad))]
        packed = tmp_path / "bad.tar"
        packed.write_bytes(bad)
        files = tmp_path / f"root-{number}"
        files.mkdir()
        try:
            archive.unpack(packed, files)
        except ImageError:
            continue
        assert (files / "opt" / "a").read_bytes() == b"1" * 5000
    with pytest.raises(ImageError):
        archive.read(tmp_path / "absent.tar")
