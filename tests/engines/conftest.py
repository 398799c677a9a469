from __future__ import annotations

from pathlib import Path

import pytest

from medtranslate.config import PhantomSettings
from medtranslate.phantom import write_study


@pytest.fixture(scope="session")
def dicom_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `ct` and `mr` of a digital head, as small as a head is found in."""
    folder = tmp_path_factory.mktemp("study") / "head"
    write_study(PhantomSettings(out=folder, seed=900_000, size=32, spacing=8.0, format="dicom"))
    return folder
