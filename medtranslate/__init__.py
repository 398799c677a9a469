"""Unpaired translation between CT and MR images of the same anatomy."""

__version__ = "0.1.0"
