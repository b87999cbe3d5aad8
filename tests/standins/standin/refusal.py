"""How a stand-in says no."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 -- it is one
    """Something that the real program would not start with, or not do; the text says what and where."""
