"""One command of a build as lines, within the build's budget; knows nothing of what it does."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from members.core.model import BuildBroken, BuildFailed

_CHUNK = 1 << 16
_LONGEST = 4096  # characters of a line
_KEPT = 40  # last lines of a failed step
_GRACE = 10.0  # seconds from SIGTERM to SIGKILL for the sandbox itself
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class Budget:
    """What one build may use: `deadline` is on the event loop's clock, `output` in bytes."""

    seconds: float
    deadline: float
    output: int
    printed: int = 0

    @classmethod
    def starting_now(cls, *, seconds: float, output: int) -> Budget:
        return cls(seconds, asyncio.get_running_loop().time() + seconds, output)

    def spend(self, printed: int) -> None:
        """Counts bytes of output. Raises BuildFailed beyond the limit."""
        self.printed += printed
        if self.printed > self.output:
            raise BuildFailed(f"The build printed more than {self.output / 1e6:.3g} MB and was stopped.")

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Raises BuildFailed when the block has not ended at the deadline."""
        try:
            async with asyncio.timeout_at(self.deadline):
                yield
        except TimeoutError as error:
            raise BuildFailed(
                f"The build took longer than {_duration(self.seconds)} and was stopped."
            ) from error


class StepFailed(Exception):
    """The command ended with another status than 0; `lines` are its last ones."""

    def __init__(self, status: int, lines: Sequence[str]) -> None:
        super().__init__(f"exit status {status}")
        self.status = status
        self.lines = tuple(lines)

    @property
    def text(self) -> str:
        return "".join(self.lines)


async def step(
    argv: Sequence[str], environment: Mapping[str, str], budget: Budget, *, longest: int = _LONGEST
) -> AsyncGenerator[str, None]:
    """Runs `argv` (from `sandbox.wrap`) and tells its lines, each with a newline.

    Standard error is among them. A line of more than `longest` characters is told in pieces.

    Raises StepFailed, BuildFailed when the budget is used up and BuildBroken when it cannot be started.
    However this ends, also by closing it early, the command and all that it started are gone then.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        raise BuildBroken(f"{argv[0]} could not be started: {error}") from error
    last: list[str] = []
    try:
        assert process.stdout is not None
        async for line in _lines(process.stdout, budget, longest):
            last = [*last[1 - _KEPT :], line]
            yield line
        async with budget.limit():
            status = await process.wait()
    finally:
        await asyncio.shield(asyncio.ensure_future(_end(process)))
    if status != 0:
        raise StepFailed(status, last)


async def _lines(stream: asyncio.StreamReader, budget: Budget, longest: int) -> AsyncGenerator[str, None]:
    """Lines as they come, at once.

    Carriage returns end one too, so that progress bars do not run together.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while True:
        async with budget.limit():
            chunk = await stream.read(_CHUNK)
        budget.spend(len(chunk))
        *complete, rest = _LINE_END.split(rest + decoder.decode(chunk, not chunk))
        for line in complete:
            for start in range(0, len(line) or 1, longest):
                yield line[start : start + longest] + "\n"
        while len(rest) > longest:
            yield rest[:longest] + "\n"
            rest = rest[longest:]
        if not chunk:
            if rest:
                yield rest + "\n"
            return


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_GRACE):
            await _drained(process)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await _drained(process)


async def _drained(process: asyncio.subprocess.Process) -> None:
    """Waits for the end and throws output away: a full pipe must not hold a talkative command's end up."""
    assert process.stdout is not None
    while await process.stdout.read(_CHUNK):
        pass
    await process.wait()


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.3g} minutes" if seconds >= 120 else f"{seconds:.3g} seconds"
