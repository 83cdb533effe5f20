"""The matching engine compiled from C (README.md of this directory): the same bytes as apps/matching/engine."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.matching.native.engine import Engine

__all__ = ["Engine"]


def __getattr__(name: str) -> Any:
    """`Engine` on first use, so that the build can run as a program of this package."""
    if name != "Engine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from apps.matching.native.engine import Engine

    return Engine
