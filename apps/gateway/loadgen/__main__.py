"""A plan as JSON on standard input, its outcome as JSON on standard output: one of several processes of a run."""

import sys
from typing import Final

import msgspec

from apps.gateway.loadgen.driver import run
from apps.gateway.loadgen.plan import Plan, PlanError

REFUSED: Final = 2


def main() -> int:
    try:
        plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
        outcome = run(plan)
    except (PlanError, msgspec.ValidationError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
