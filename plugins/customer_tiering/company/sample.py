"""The generator of the sample company. It is beside the package, because no other company needs it."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from customer_tiering.company.workspace import project_root
from customer_tiering.errors import ProfileError


def sample_module(name: str = "sample_company") -> ModuleType:
    """``sample_company``, or a module of it. Raises ``ProfileError`` where the checkout has none."""
    root = project_root()
    if not (root / "sample_company").is_dir():
        raise ProfileError(
            f"the generator of the sample company is not in {root}",
            "set TIERING_HOME to a checkout that has the folder sample_company, or use another profile",
        )
    if str(root) not in sys.path:
        sys.path.append(str(root))
    return importlib.import_module(name)
