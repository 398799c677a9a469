"""Every error that a user of medtranslate can meet.

    MedtranslateError           exit code
    ├── UsageError              2    the command was asked for in a wrong way
    │   ├── SettingsError            a setting is unknown, missing or out of range
    │   └── OutputExists             the output is there already; --overwrite replaces it
    ├── InputRefused            3    the input is not what the command may process; nothing is written
    │   ├── Unreadable               a file is missing, damaged or of no known format
    │   ├── GeometryRefused          positions, spacings or shapes do not fit
    │   ├── SeriesRefused            a DICOM folder is not one clean series
    │   └── ModelRefused             a model folder is foreign, altered or of another version
    ├── RunFailed               5    the run stopped for a reason that the user can mend
    │   ├── DiskFull                 the output's file system is full
    │   ├── Diverged                 training produced values that are not finite
    │   └── Undelivered              another node has not taken a file
    │       └── Rejected             and will not, until a person changes a setting
    └── Interrupted           130    a signal ended the run; what it had reached is kept

A message is one line that says what is wrong, in which file, with which numbers, and what to do.
Anything else that escapes a command is a bug (exit code 1).
"""

from __future__ import annotations

from collections.abc import Sequence


class MedtranslateError(Exception):
    """Root of the tree; `exit_code` is what the command line ends with.

    `rows` are a table of what there is to choose from, with headings, where the message asks for a choice.
    """

    exit_code = 1
    rows: Sequence[Sequence[str]] = ()


class UsageError(MedtranslateError):
    exit_code = 2


class SettingsError(UsageError):
    pass


class OutputExists(UsageError):
    pass


class InputRefused(MedtranslateError):
    exit_code = 3


class Unreadable(InputRefused):
    pass


class GeometryRefused(InputRefused):
    pass


class SeriesRefused(InputRefused):
    pass


class ModelRefused(InputRefused):
    pass


class RunFailed(MedtranslateError):
    exit_code = 5


class DiskFull(RunFailed):
    pass


class Diverged(RunFailed):
    pass


class Undelivered(RunFailed):
    pass


class Rejected(Undelivered):
    pass


class Interrupted(MedtranslateError):
    exit_code = 130
