"""The one place that imports trio-util, which ships no types."""

from trio_util import AsyncBool, AsyncValue  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["AsyncBool", "AsyncValue"]
