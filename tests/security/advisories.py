"""Whether packages of the locks have known holes: `python -m tests.security.advisories`.

Exit code 1: a package has one, or the service answered for some packages and not for others. Where it answers for
none (no network, or an index without advisories), nothing was checked: it says NOT RUN and ends with 0.

pip-audit's own --strict ends at the first package without an answer and does not tell a service that is away from a
package that it does not know; without it, it passes such packages over. So its report is compared with the locks.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent.parent
LOCKS: Final = (ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt")
NOT_RUN: Final = "pip-audit: NOT RUN"


def locked(locks: tuple[Path, ...] = LOCKS) -> set[str]:
    """Names of the packages that the locks install on this platform."""
    return {name for lock in locks for name in _names(lock.read_text())}


def _names(lock: str) -> Iterator[str]:
    for line in lock.splitlines():
        if line[:1].isalnum():
            wanted = Requirement(line.removesuffix("\\").strip())
            if wanted.marker is None or wanted.marker.evaluate():
                yield canonicalize_name(wanted.name)


def verdict(report: dict[str, Any], wanted: set[str]) -> tuple[int, str]:
    """Exit code and what to say of pip-audit's JSON report, for the packages `wanted`."""
    packages = {canonicalize_name(package["name"]): package for package in report["dependencies"]}
    answered = {name for name, package in packages.items() if "skip_reason" not in package}
    holes = [
        f"{name} {package['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for name, package in sorted(packages.items())
        for hole in package.get("vulns", ())
    ]
    unanswered = sorted(wanted - answered)
    if not answered:
        return 0, f"{NOT_RUN}: the advisory service answers for none of {len(wanted)} packages"
    lines = [f"pip-audit: {len(answered)} packages, {len(holes)} known holes", *holes]
    if unanswered:
        lines.append(f"{NOT_RUN} for {len(unanswered)} packages without an answer: {', '.join(unanswered)}")
    return 1 if holes or unanswered else 0, "\n".join(lines)


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--disable-pip"]
    for lock in LOCKS:
        command += ["-r", str(lock)]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"{NOT_RUN}: {last}")
        return 0
    code, text = verdict(report, locked())
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
