"""Views of a record: page, PDF, CSV, JSON and DICOM. Each writes its file into a folder.

A new view is one file here and one line in `views.VIEWS`; other packages add views by entry points.
"""

from __future__ import annotations

import lazy_loader

# Names are imported when they are first asked for; the stub beside this file lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
