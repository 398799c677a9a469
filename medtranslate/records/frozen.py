"""The configuration that all records share."""

from __future__ import annotations

from pydantic import ConfigDict

FROZEN = ConfigDict(extra="forbid", ser_json_inf_nan="strings")
