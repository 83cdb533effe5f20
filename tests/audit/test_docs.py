"""The worked example of docs/audit.md is what the programs say, and every action of the table is recorded somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

from apps.audit.actions import ACTIONS
from apps.audit.entries import canonical_bytes
from apps.audit.notes import Checkpoint, read_verifier_key, sign, verifier_key, verify
from apps.audit.tree import CHAIN_START, Peak, append, chain_hash, fold, leaf_hash
from tests.architecture.sources import BASE_DIR, python_files
from tests.audit.log import KEY, ORIGIN

PAGE = (BASE_DIR / "docs" / "audit.md").read_text("utf-8")


def test_the_worked_example_is_a_whole_log(tmp_path: Path) -> None:
    block = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    *lines, last = [json.loads(line) for line in block[1].splitlines()]
    chain, peaks = CHAIN_START, list[Peak]()
    for index, line in enumerate(lines):
        leaf = canonical_bytes(line["entry"])
        chain = chain_hash(chain, leaf_hash(leaf))
        append(peaks, index, leaf_hash(leaf))
        assert (line["index"], line["chain"]) == (index, chain.hex())
        if index == 1:
            assert f"\n{leaf.decode()}\n" in PAGE
            assert f"`{leaf_hash(leaf).hex()}`" in PAGE
    root = fold([peak.hash for peak in peaks])
    assert f"`{root.hex()}`" in PAGE
    key = read_verifier_key(last["key"])
    assert key == verifier_key(ORIGIN, KEY)
    assert verify(last["checkpoint"], key) == Checkpoint(ORIGIN, 3, root)
    assert sign(Checkpoint(ORIGIN, 3, root), KEY) == last["checkpoint"]
    export = tmp_path / "export"
    export.write_text(block[1], "utf-8")
    found = subprocess.run(
        [sys.executable, "-I", BASE_DIR / "docs" / "verify_audit.py", export, "--key", key.text],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (found.returncode, found.stdout) == (
        0, f"whole: 3 entries, root {root.hex()}\nsigned by {key.text}\n",
    )  # fmt: skip


def test_every_known_action_is_recorded_somewhere() -> None:
    words = {
        name
        for path in python_files("apps", "nebannpet")
        if path.name != "actions.py"
        for name in re.findall(r'"([a-z-]+\.[a-z-]+)"', path.read_text())
    }
    assert set(ACTIONS) <= words
