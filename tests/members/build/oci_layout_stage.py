"""Members that share a folder of images, for tests."""

from __future__ import annotations

from pathlib import Path

from members.adapters import oci_layout
from members.adapters.oci_layout import OciLayoutStore

IMAGE = "prefix/gh-2dexample-2drepo-3a1b2c:0123abcd"


def member(tmp_path: Path, name: str) -> OciLayoutStore:
    store = OciLayoutStore(folder=tmp_path / "store", state_dir=tmp_path / name)
    store.prepare()
    return store


def tree(tmp_path: Path, **files: str) -> Path:
    """A new tree; `env__bin__x` stands for the file env/bin/x."""
    root = tmp_path / f"tree-{len(list(tmp_path.iterdir()))}"
    for part in oci_layout.PARTS:
        (root / part).mkdir(parents=True)
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


async def fetched(store: OciLayoutStore, image: str = IMAGE) -> list[str]:
    return [line async for line in store.fetch(image)]


def blobs(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "store" / "blobs" / "sha256").iterdir(), key=lambda blob: blob.stat().st_size)
