"""The one place that imports trio-util, which ships no types."""

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    T = TypeVar("T")

    class AsyncValue(Generic[T]):
        """A value whose changes can be waited for."""

        value: T

        def __init__(self, value: T) -> None: ...
        async def wait_value(self, value: T) -> T: ...

    class AsyncBool(AsyncValue[bool]): ...
else:
    from trio_util import AsyncBool, AsyncValue

__all__ = ["AsyncBool", "AsyncValue"]
