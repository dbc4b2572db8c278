"""The sample company after its first night: made once, copied by every module that goes on from there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from customer_tiering.company.profile import Profile, load_profile
from nights import run_night
from sample_company import company_state, generate_company
from sharing import made_once


@pytest.fixture(scope="session")
def sample_first_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``var/`` of the default sample company after the night of its last day, with reports. To be copied."""

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TIERING_VAR", str(folder))
            # The test that comes first may have a company of its own.
            patch.delenv("TIERING_PROFILES", raising=False)
            patch.delenv("TIERING_DATA", raising=False)
            source = load_profile("sample").workspace.root / "source"
            generate_company(source)
            state = company_state(source)
            assert state is not None
            run_night("sample", state.until, "first", with_report=True)

    return made_once(tmp_path_factory, "sample_first_night", make)


@pytest.fixture(scope="module")
def sample(sample_first_night: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profile]:
    """The module's own copy of that company; its ``var/`` is alone in its folder."""
    var = tmp_path_factory.mktemp("sample") / "var"
    shutil.copytree(sample_first_night, var, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIERING_VAR", str(var))
        patch.delenv("TIERING_PROFILES", raising=False)
        yield load_profile("sample")
