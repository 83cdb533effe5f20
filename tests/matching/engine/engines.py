"""The engines that the proofs of the rules run against, by name."""

from collections.abc import Mapping
from typing import Any, Final

from apps.matching.engine import Engine
from apps.matching.native.engine import Engine as NativeEngine

ENGINE_CLASSES: Final[Mapping[str, Any]] = {"plain": Engine, "native": NativeEngine}
