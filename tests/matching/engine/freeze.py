"""python -m tests.matching.engine.freeze: the golden body of this rules version, written once, when it is released.

From then on a change of its tables, or of what its rows mean, is a new rules version.
"""

import json
from pathlib import Path
from typing import Any, Final

from apps.matching.engine import RULES_VERSION, Engine
from tests.matching.engine.examples import EVERY_TABLE
from tests.matching.engine.play import MARKET, play

GOLDEN: Final = Path(__file__).parent / "golden"


def views(engine: Engine) -> dict[str, Any]:
    """What the engine says of its state, by the names of its methods."""
    return {
        "state_hash": engine.state_hash(),
        **{name: list(getattr(engine, name)()) for name in ("balances", "open_orders", "holds", "assets", "markets")},
        "depth": {f"{MARKET}:{side}": engine.depth(MARKET, side, 1_000) for side in (0, 1)},
        "counters": engine.counters(),
    }


def main() -> None:
    body = GOLDEN / f"rules_v{RULES_VERSION}.body"
    if body.exists():
        raise SystemExit(f"{body.name} is there: version {RULES_VERSION} is frozen")
    engine = play(EVERY_TABLE).engine
    engine.validate()
    body.write_bytes(engine.snapshot())
    body.with_suffix(".json").write_text(json.dumps(views(engine), indent=1) + "\n", "ascii")
    print(f"{body.name}: {body.stat().st_size} bytes")


if __name__ == "__main__":
    main()
