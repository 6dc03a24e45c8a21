"""What pytest has to be told and trial does by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def folder_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """``TestCase.mktemp`` makes its folders where the tests run: elsewhere than in the checkout."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("run"))
    yield
    os.chdir(before)
