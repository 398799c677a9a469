"""Settings of every command: frozen, validated, unknown keys refused, kept as YAML.

A command's options are the fields of its settings class (`medtranslate.cli.options` makes them), a
pipeline file holds the same names, and the settings that a command ran with are written beside its
output. The string under a field is its help text.
"""

from __future__ import annotations

import lazy_loader

# Names are imported when they are first asked for; the stub beside this file lists them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
