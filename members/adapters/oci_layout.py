"""The shared image folder, which several members write and read at once; knows nothing of builds.

The folder is an OCI image layout. An image is its environment and its repository files (`env/`, `home/`), as
layers of an OCI image; a reference name in index.json makes it known. An image may stand on a base image: it
then shares the base's layers and adds one with what differs. Blobs are written aside and renamed, the index
is replaced under a lock: a reader never sees half of anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import re
import shutil
import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, nullcontext
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event

from members.adapters import archive, trees
from members.adapters.blocking import Stopped, blocking
from members.adapters.oci_files import Folder, Image, Layer, StoreFault
from members.adapters.trees import Changes
from members.core.model import BuildBroken, LaunchFailed

BASE_LABEL = "org.opencontainers.image.base.name"
PYTHON_LABEL = "binder.python"  # the interpreter that the environment was made from
START_LABEL = "binder.start"  # the repository's start script, relative to its files
PARTS = ("env", "home")
SHARED = "binder-federation-base-"  # images of these names are unpacked once for all members of a machine
FACTS = "image.json"  # beside the parts: name, layers and labels of the unpacked image


def unpacked_path(state_dir: Path, image: str) -> Path:
    """Where an image lies ready to start on one member: `env/` and `home/` appear there at once, complete."""
    return state_dir / "images" / _safe_name(image)


def labels_of(unpacked: Path) -> dict[str, str]:
    """The labels of an unpacked image; the repository cannot have written them."""
    found = json.loads((unpacked / FACTS).read_bytes())["labels"]
    return {str(name): str(value) for name, value in found.items()}


class OciLayoutStore:
    """Port `ImageStore` on a shared folder, and `put` for the builder.

    Call `prepare` once before anything else.
    """

    def __init__(
        self, *, folder: Path, state_dir: Path, spread: Callable[[Event, Path, Path], None] = trees.link
    ) -> None:
        """`spread` lays a base under an image: hard links where no session can write to images, else copies."""
        self._folder = Folder(folder)
        self._spread = spread
        self._state_dir = state_dir
        self._unpacking = state_dir / "unpacking"
        self._flights: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def prepare(self) -> None:
        """Makes the folders and removes what a killed predecessor left behind. Raises BuildBroken."""
        try:
            trees.remove(self._unpacking)
            self._unpacking.mkdir(parents=True)
            (self._state_dir / "images").mkdir(exist_ok=True)
            self._folder.prepare()
        except (OSError, StoreFault) as error:
            raise BuildBroken(f"the image store cannot be used: {error}") from error

    def place(self, image: str) -> Path:
        """Where the image lies, or will lie, unpacked. Base images, which nobody starts, are shared."""
        if image.startswith(SHARED):
            return self._folder.unpacked / _safe_name(image)
        return unpacked_path(self._state_dir, image)

    async def has(self, image: str) -> bool:
        """Whether the image and all its blobs are in the store with the right size.

        A damaged index holds nothing.
        """
        try:
            return await asyncio.to_thread(self._folder.find, image) is not None
        except (OSError, StoreFault):
            return False

    async def check(self) -> bool:
        """Whether the index can be read, and a file be written beside the blobs and where images are unpacked."""
        try:
            await asyncio.to_thread(self._probe)
        except (OSError, StoreFault):
            return False
        return True

    def _probe(self) -> None:
        self._folder.probe()
        with NamedTemporaryFile(dir=self._unpacking) as file:
            file.write(b"probe")
            file.flush()

    async def fetch(self, image: str) -> AsyncGenerator[str, None]:
        """Unpacks the image on this member unless it is there already; lines end with a newline.

        Single flight per image: others wait for the first. A damaged blob is removed from the store, so that
        the next launch builds it anew. Raises LaunchFailed.
        """
        if self._layers_here(image) is not None:
            return
        found = await self._find(image)
        base, wanted = await self._base_of(found), found.layers
        if base is not None:
            async with aclosing(self.fetch(base)) as lines:
                async for line in lines:
                    yield line
            wanted = wanted[len(self._layers_here(base) or ()) :]
        size = sum(layer.size for layer in wanted)
        yield f"Fetching the image from the shared store ({size / 1e6:.1f} MB)\n"
        async with self._flights[image]:
            if self._layers_here(image) is None:
                await self._materialise(image, found, wanted, base)
        yield "The image is ready on this member\n"

    async def put(self, image: str, tree: Path, *, base: str | None, labels: Mapping[str, str]) -> int:
        """Stores `tree` (with `env/` and `home/`) under the image's name, then moves it to its unpacked path.

        With a base, which must be unpacked here, only what differs from it is stored. Returns the bytes that
        the new layer takes. Raises BuildBroken.
        """
        try:
            return await self._put(image, tree, base, labels)
        except (OSError, StoreFault, LaunchFailed) as error:
            raise BuildBroken(f"the image could not be stored: {error}") from error

    async def _put(self, image: str, tree: Path, base: str | None, labels: Mapping[str, str]) -> int:
        below: tuple[Layer, ...] = ()
        if base is not None:
            here, stored = self._layers_here(base), await self._find(base)
            if here == tuple(layer.digest for layer in stored.layers):
                below, labels = stored.layers, {**labels, BASE_LABEL: base}
        base_tree = self.place(base) if base is not None and below else None
        layer = await blocking(self._pack, tree, base_tree)
        found = Image((*below, layer), labels)
        await asyncio.to_thread(self._folder.publish, image, found)
        async with self._flights[image]:
            if self._layers_here(image) is None:
                await asyncio.to_thread(self._appear, image, found, tree)
        return layer.size

    def _pack(self, stop: Event, tree: Path, base: Path | None) -> Layer:
        differs = Changes((), ())
        for part in PARTS:
            differs = differs.plus(
                part, trees.changes(tree / part, base / part if base is not None else None)
            )
        with self._folder.incoming() as blob:
            packed = archive.pack(stop, tree, differs, blob.file)
            blob.keep(packed.digest)
        return Layer(packed.digest, packed.size, packed.diff_id)

    async def _find(self, image: str) -> Image:
        try:
            found = await asyncio.to_thread(self._folder.find, image)
        except (OSError, StoreFault) as error:
            raise LaunchFailed(f"The image store cannot be read: {error}") from error
        if found is None:
            raise LaunchFailed(f"The image store does not hold {image}")
        return found

    async def _base_of(self, image: Image) -> str | None:
        """The image's base, if it still starts with the layers that store and member have of that."""
        base = image.labels.get(BASE_LABEL)
        if base is None:
            return None
        try:
            below = tuple(layer.digest for layer in (await self._find(base)).layers)
        except LaunchFailed:
            return None
        starts = tuple(layer.digest for layer in image.layers[: len(below)])
        return base if starts == below and self._layers_here(base) in (None, below) else None

    async def _materialise(
        self, name: str, image: Image, wanted: tuple[Layer, ...], base: str | None
    ) -> None:
        python = image.labels.get(PYTHON_LABEL)
        if python is not None and not shutil.which(python):
            raise LaunchFailed(f"The image was built with {python}, which this member does not have")
        start = self.place(base) if base is not None else None
        try:
            async with self._aside(name) as aside:
                await blocking(self._unpack, wanted, start, aside)
                await asyncio.to_thread(self._appear, name, image, aside)
        except archive.Damaged as error:
            raise LaunchFailed(f"The image is damaged and will be built again: {error}") from error
        except OSError as error:
            raise LaunchFailed(f"The image could not be unpacked: {error}") from error

    @asynccontextmanager
    async def _aside(self, name: str) -> AsyncGenerator[Path, None]:
        """An empty folder on the file system of the image's place, gone at the end."""
        with (
            self._folder.incoming_tree()
            if name.startswith(SHARED)
            else nullcontext(self._unpacking) as parent
        ):
            aside = parent / uuid.uuid4().hex
            try:
                yield aside
            finally:
                await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(trees.remove, aside)))

    def _appear(self, name: str, image: Image, tree: Path) -> None:
        """The complete tree becomes the unpacked image at once, unless another member was faster.

        A tree on another file system than the shared place is left alone: a fetch will unpack it there.
        """
        facts = {
            "image": name,
            "layers": [layer.digest for layer in image.layers],
            "labels": dict(image.labels),
        }
        (tree / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        if self._layers_here(name) is None:
            trees.remove(self.place(name))  # a tree without facts is half of one
        try:
            tree.rename(self.place(name))
        except OSError as error:
            if not name.startswith(SHARED) or error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EXDEV):
                raise

    def _layers_here(self, image: str) -> tuple[str, ...] | None:
        """The layers that the unpacked image on this member was made of; None when it is not unpacked."""
        try:
            return tuple(json.loads((self.place(image) / FACTS).read_bytes())["layers"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # also where a machine that lost its power left an empty file

    def _unpack(self, stop: Event, layers: tuple[Layer, ...], start: Path | None, into: Path) -> None:
        into.mkdir()
        if start is not None:
            for part in PARTS:  # also as hard links: unpacking replaces files, it never writes into them
                self._spread(stop, start / part, into / part)
        for layer in layers:
            if stop.is_set():
                raise Stopped
            try:
                archive.unpack(stop, self._folder.blob(layer.digest), layer.digest, into)
            except archive.Damaged:
                with contextlib.suppress(OSError):
                    self._folder.blob(layer.digest).unlink()
                raise
        for part in PARTS:
            (into / part).mkdir(exist_ok=True)


def _safe_name(image: str) -> str:
    """A folder's name, another one for every image."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", image).lstrip(".")[-120:]
    return f"{safe}-{hashlib.sha256(image.encode()).hexdigest()[:12]}"
