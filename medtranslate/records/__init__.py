"""Records of translations and evaluations, which views and later commands read.

Each is a frozen dataclass, written as JSON with a schema name. `None` means "not measured" and is left out of
the file.
"""

from __future__ import annotations

import lazy_loader

# Names are imported when they are first asked for; the stub beside this file lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
