"""Harm to a folder of images, and images that mean harm."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
import zstandard
from oci_layout_stage import IMAGE, blobs, fetched, member, tree

from members.adapters import trees
from members.adapters.oci_files import Folder, Image, Layer
from members.adapters.oci_layout import OciLayoutStore, labels_of, unpacked_path
from members.core.model import BuildBroken, LaunchFailed


@pytest.mark.parametrize("harm", ["flip", "cut", "lose"])
async def test_a_harmed_layer_is_noticed_and_then_absent(tmp_path: Path, harm: str) -> None:
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    await one.put(IMAGE, tree(tmp_path, env__x=os.urandom(50_000).hex()), base=None, labels={})
    layer = blobs(tmp_path)[-1]
    content = bytearray(layer.read_bytes())
    content[len(content) // 2] ^= 1
    if harm == "flip":
        layer.write_bytes(content)
    elif harm == "cut":
        layer.write_bytes(content[:-100])
    else:
        layer.unlink()
    assert await two.has(IMAGE) is (harm == "flip")
    with pytest.raises(LaunchFailed, match="damaged" if harm == "flip" else "does not hold"):
        await fetched(two)
    assert not await two.has(IMAGE)
    assert not unpacked_path(tmp_path / "two", IMAGE).exists()
    assert not list((tmp_path / "two" / "unpacking").iterdir())
    await two.put(IMAGE, tree(tmp_path, env__x="again"), base=None, labels={})
    assert await one.has(IMAGE)


async def test_a_harmed_manifest_is_as_good_as_absent(tmp_path: Path) -> None:
    one = member(tmp_path, "one")
    await one.put(IMAGE, tree(tmp_path), base=None, labels={})
    for blob in blobs(tmp_path):
        if b"manifest" in blob.read_bytes():
            blob.write_bytes(blob.read_bytes().replace(b"2", b"3"))
    assert not await one.has(IMAGE)


async def test_a_harmed_index_is_told_by_the_check(tmp_path: Path) -> None:
    one = member(tmp_path, "one")
    assert await one.check()
    await one.put(IMAGE, tree(tmp_path), base=None, labels={})
    (tmp_path / "store" / "index.json").write_text('{"manifests": [')
    assert not await one.check()
    assert not await one.has(IMAGE)
    with pytest.raises(BuildBroken, match=r"index\.json is damaged"):
        await one.put("other:1", tree(tmp_path), base=None, labels={})


async def test_an_unwritable_store_fails_its_check(tmp_path: Path) -> None:
    one = member(tmp_path, "one")
    shutil.rmtree(tmp_path / "store" / "incoming")
    assert not await one.check()
    with pytest.raises(BuildBroken):
        await one.put(IMAGE, tree(tmp_path), base=None, labels={})


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False).returncode:
        pytest.skip("only root may mount")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("full", ["store", "state"])
async def test_a_full_disk_is_told_by_the_check_and_leaves_nothing_behind(tiny: Path, full: str) -> None:
    folders = {"store": tiny.parent / "store", "state": tiny.parent / "state", full: tiny / "x"}
    one = OciLayoutStore(folder=folders["store"], state_dir=folders["state"])
    one.prepare()
    assert await one.check()
    with suppress(OSError):
        (tiny / "filler").write_bytes(bytes(2 << 20))
    assert not await one.check()
    if full == "store":
        for _ in range(3):
            with pytest.raises(BuildBroken, match="No space left"):
                await one.put(IMAGE, tree(tiny.parent), base=None, labels={})
        with pytest.raises(OSError, match="No space left"):
            one._folder._write_index([{"digest": "x" * 10_000}])
        assert list((tiny / "x" / "incoming").iterdir()) == []
        assert await one.has(IMAGE) is False
    (tiny / "filler").unlink()
    assert await one.check()


async def test_an_image_whose_facts_are_lost_is_unpacked_anew(tmp_path: Path) -> None:
    """A machine that loses its power may keep a file's name and not its content."""
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    await one.put(IMAGE, tree(tmp_path), base=None, labels={})
    for _ in range(2):
        async for _ in two.fetch(IMAGE):
            pass
        facts = unpacked_path(tmp_path / "two", IMAGE) / "image.json"
        assert labels_of(facts.parent) == {}
        facts.write_bytes(b"")


def stored(tmp_path: Path, *members: tarfile.TarInfo) -> None:
    """An image whose only layer holds exactly these tar members, as no member of ours would pack them."""
    plain = BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for info in members:
            tar.addfile(info, BytesIO(b"x" * info.size) if info.size else None)
    folder = Folder(tmp_path / "store")
    data = zstandard.compress(plain.getvalue())
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    with folder.incoming() as blob:
        blob.file.write(data)
        blob.keep(digest)
    folder.publish(IMAGE, Image((Layer(digest, len(data), "sha256:0"),), {}))


def info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size, made.mode = kind, target, size, 0o644
    return made


@pytest.mark.parametrize(
    "members",
    [
        [info("../escaped", size=1)],
        [info("env/../../escaped", size=1)],
        [info("env/out", tarfile.SYMTYPE, "../../.."), info("env/out/escaped", size=1)],
        [info("env/pipe", tarfile.FIFOTYPE)],
        [info("env/device", tarfile.CHRTYPE)],
        [info("env/secret", tarfile.LNKTYPE, "../../secret")],
    ],
    ids=["dots", "inner dots", "through a link", "pipe", "device", "hard link"],
)
async def test_no_layer_reaches_outside_or_brings_devices(
    tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    two = member(tmp_path, "two")
    (tmp_path / "two" / "secret").write_text("secret")
    stored(tmp_path, *members)
    before = {path for path, _ in trees.entries(tmp_path / "two")}
    with pytest.raises(LaunchFailed):
        await fetched(two)
    assert not any(path.endswith("escaped") for path, _ in trees.entries(tmp_path))
    assert {path for path, _ in trees.entries(tmp_path / "two")} == before


async def test_absolute_names_stay_inside(tmp_path: Path) -> None:
    two = member(tmp_path, "two")
    stored(tmp_path, info(f"{tmp_path}/escaped", size=1))
    await fetched(two)
    assert not (tmp_path / "escaped").exists()
