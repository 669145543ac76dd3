from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from up_stage import Run


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    run = Run(tmp_path)
    yield run
    run.clean_up()
