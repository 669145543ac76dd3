"""The shared image folder: what one member puts, another gets, whatever happens in between."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
import zstandard
from oci_layout_stage import IMAGE, blobs, fetched, member, tree

from members.adapters import oci_layout, trees
from members.adapters.oci_files import Folder
from members.adapters.oci_layout import BASE_LABEL, PYTHON_LABEL, unpacked_path
from members.core.model import LaunchFailed


async def test_what_one_member_puts_another_fetches(tmp_path: Path) -> None:
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    made = tree(tmp_path, env__bin__tool="#!/bin/sh\n", home__read_me="hello")
    (made / "env" / "bin" / "tool").chmod(0o755)
    (made / "env" / "lib64").symlink_to("lib")
    (made / "home" / "dir with space\nand newline").mkdir()
    os.utime(made / "home" / "read_me", (1e9, 1e9))
    assert not await two.has(IMAGE)
    await one.put(IMAGE, made, base=None, labels={"binder.x": "y"})
    assert await two.has(IMAGE)
    assert await fetched(one) == []
    lines = await fetched(two)
    assert len(lines) == 2
    assert all(line.endswith("\n") for line in lines)
    here = unpacked_path(tmp_path / "two", IMAGE)
    assert (here / "home" / "read_me").read_text() == "hello"
    assert (here / "home" / "read_me").stat().st_mtime == 1e9
    assert (here / "env" / "bin" / "tool").stat().st_mode & 0o777 == 0o755
    assert (here / "env" / "lib64").readlink() == Path("lib")
    assert (here / "home" / "dir with space\nand newline").is_dir()
    assert oci_layout.labels_of(here) == {"binder.x": "y"}
    assert await fetched(two) == []


async def test_the_builder_keeps_what_it_built(tmp_path: Path) -> None:
    one = member(tmp_path, "one")
    made = tree(tmp_path, env__x="x")
    inode = (made / "env" / "x").stat().st_ino
    await one.put(IMAGE, made, base=None, labels={})
    assert (unpacked_path(tmp_path / "one", IMAGE) / "env" / "x").stat().st_ino == inode
    assert not made.exists()


async def test_a_base_is_shared_and_differences_are_exact(tmp_path: Path) -> None:
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    base = tree(tmp_path, env__keep="k" * 100_000, env__change="old", env__gone__a="a", env__gone__b="b")
    await one.put("base:1", base, base=None, labels={})
    made = tmp_path / "made"
    shutil.copytree(unpacked_path(tmp_path / "one", "base:1"), made, symlinks=True)
    (made / oci_layout.FACTS).unlink()
    (made / "env" / "change").write_text("new and longer")
    shutil.rmtree(made / "env" / "gone")
    (made / "env" / "added").symlink_to("keep")
    (made / "home" / "nb.ipynb").write_text("{}")
    before = len(blobs(tmp_path))
    size = await one.put(IMAGE, made, base="base:1", labels={})
    assert size < 2_000
    assert len(blobs(tmp_path)) == before + 3  # one layer, one config, one manifest
    await fetched(two)
    here = unpacked_path(tmp_path / "two", IMAGE)
    assert {path for path, _ in trees.entries(here)} == {
        *("env", "env/added", "env/change", "env/keep", "home", "home/nb.ipynb", oci_layout.FACTS),
    }
    assert (here / "env" / "change").read_text() == "new and longer"
    untouched = unpacked_path(tmp_path / "two", "base:1")
    assert (untouched / "env" / "change").read_text() == "old"
    assert (untouched / "env" / "gone" / "a").exists()
    assert (here / "env" / "keep").stat().st_ino == (untouched / "env" / "keep").stat().st_ino


async def test_an_image_outlives_its_base(tmp_path: Path) -> None:
    """The base's name may go or come back with other content: the image still holds all its layers."""
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    await one.put("base:1", tree(tmp_path, env__old="old"), base=None, labels={})
    made = tmp_path / "made"
    shutil.copytree(unpacked_path(tmp_path / "one", "base:1"), made)
    (made / "home" / "x").write_text("x")
    await one.put(IMAGE, made, base="base:1", labels={})
    folder = Folder(tmp_path / "store")
    image = folder.find(IMAGE)
    assert image is not None
    assert image.labels[BASE_LABEL] == "base:1"
    await member(tmp_path, "three").put("base:1", tree(tmp_path, env__other="other"), base=None, labels={})
    await fetched(two, "base:1")
    await fetched(two)
    here = unpacked_path(tmp_path / "two", IMAGE)
    assert sorted(path.name for path in (here / "env").iterdir()) == ["old"]
    assert (here / "home" / "x").exists()


async def test_a_base_image_is_unpacked_once_for_all_members(tmp_path: Path) -> None:
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    base = f"{oci_layout.SHARED}python3.11:1"
    await one.put(base, tree(tmp_path, env__x="x"), base=None, labels={})
    assert await fetched(two, base) == []
    shutil.rmtree(two.place(base))
    await asyncio.gather(fetched(one, base), fetched(two, base))
    assert (one.place(base) / "env" / "x").read_text() == "x"
    assert list((tmp_path / "store" / "incoming").iterdir()) == []
    assert list((tmp_path / "one" / "images").iterdir()) == []


async def test_many_fetches_at_once_unpack_once(tmp_path: Path) -> None:
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    await one.put(IMAGE, tree(tmp_path, env__x="x"), base=None, labels={})
    await asyncio.gather(*(fetched(two) for _ in range(20)))
    assert len(list((tmp_path / "two" / "images").iterdir())) == 1
    assert not list((tmp_path / "two" / "unpacking").iterdir())


async def test_a_fetch_that_is_given_up_leaves_nothing_and_blocks_nobody(tmp_path: Path) -> None:
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    await one.put(IMAGE, tree(tmp_path, env__x=os.urandom(20_000_000).hex()), base=None, labels={})
    first = asyncio.create_task(fetched(two))
    await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert not list((tmp_path / "two" / "unpacking").iterdir())
    assert await fetched(two)
    lines = two.fetch("prefix/never:1")
    with pytest.raises(LaunchFailed, match="does not hold"):
        await anext(lines)


async def test_an_image_made_with_a_missing_interpreter_cannot_start(tmp_path: Path) -> None:
    one, two = member(tmp_path, "one"), member(tmp_path, "two")
    labels = {PYTHON_LABEL: str(tmp_path / "python3.99")}
    await one.put(IMAGE, tree(tmp_path), base=None, labels=labels)
    with pytest.raises(LaunchFailed, match=r"python3\.99, which this member does not have"):
        await fetched(two)


async def test_leftovers_of_a_killed_member_go_at_the_next_start(tmp_path: Path) -> None:
    one = member(tmp_path, "one")
    (tmp_path / "one" / "unpacking" / "half").mkdir()
    (tmp_path / "store" / "incoming" / "half").write_bytes(b"half")
    (tmp_path / "store" / "incoming" / "half-tree" / "env").mkdir(parents=True)
    with Folder(tmp_path / "store").incoming() as living:
        living.file.write(b"still being written")
        one.prepare()
        assert [path.name for path in (tmp_path / "store" / "incoming").iterdir()] == [
            Path(living.file.name).name
        ]
    assert not list((tmp_path / "one" / "unpacking").iterdir())


WRITER = """
import asyncio, sys
from pathlib import Path
from members.adapters.oci_layout import OciLayoutStore

async def main(store, name):
    here = OciLayoutStore(folder=Path(store), state_dir=Path(store).parent / name)
    here.prepare()
    for number in range(15):
        tree = Path(store).parent / f"tree-{name}-{number}"
        for part in ("env", "home"):
            (tree / part).mkdir(parents=True)
        (tree / "home" / "x").write_text(name * number)
        await here.put(f"image-{name}:{number}", tree, base=None, labels={})

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def writer(store: Path, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(store), name], cwd=Path(__file__).parents[3])


async def test_two_processes_write_at_once_and_a_reader_never_sees_half(tmp_path: Path) -> None:
    reader = member(tmp_path, "reader")
    writers = [writer(tmp_path / "store", name) for name in ("a", "b")]
    try:
        while any(process.poll() is None for process in writers):
            assert await reader.check()
            await asyncio.sleep(0)
        assert [process.returncode for process in writers] == [0, 0]
    finally:
        for process in writers:
            process.kill()
    names = [f"image-{name}:{number}" for name in "ab" for number in range(15)]
    assert all([await reader.has(name) for name in names])
    await fetched(reader, "image-a:14")
    assert (unpacked_path(tmp_path / "reader", "image-a:14") / "home" / "x").read_text() == "a" * 14


async def test_it_is_an_oci_image_layout(tmp_path: Path) -> None:
    """Field by field as the OCI image specification 1.1 asks for."""
    one = member(tmp_path, "one")
    await one.put(IMAGE, tree(tmp_path, home__x="x"), base=None, labels={"a": "b"})
    store = tmp_path / "store"
    assert json.loads((store / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((store / "index.json").read_text())
    (entry,) = index["manifests"]
    assert index["schemaVersion"] == 2
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": IMAGE}
    blob = store / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")
    assert entry["size"] == blob.stat().st_size
    manifest = json.loads(blob.read_text())
    assert manifest["mediaType"] == entry["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    config = json.loads((blob.parent / manifest["config"]["digest"].removeprefix("sha256:")).read_text())
    assert config["os"] == "linux"
    assert config["config"]["Labels"] == {"a": "b"}
    (layer,) = manifest["layers"]
    packed = (blob.parent / layer["digest"].removeprefix("sha256:")).read_bytes()
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    diff_id = f"sha256:{hashlib.sha256(plain).hexdigest()}"
    assert config["rootfs"] == {"type": "layers", "diff_ids": [diff_id]}
    with tarfile.open(fileobj=BytesIO(plain)) as tar:
        assert sorted(tar.getnames()) == ["env", "home", "home/x"]


def test_unpacked_paths_are_safe_and_distinct(tmp_path: Path) -> None:
    names = ["a/b:c", "a_b:c", "../../etc", "..", "x" * 600, "x" * 601, ".hidden"]
    paths = [unpacked_path(tmp_path, name) for name in names]
    assert len(set(paths)) == len(names)
    assert all(path.parent == tmp_path / "images" and len(path.name) < 200 for path in paths)
    assert not any(path.name.startswith(".") for path in paths)
