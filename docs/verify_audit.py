"""Verifies an export of Nebannpet's audit log. Needs Python 3.9 or newer and the package `cryptography`, nothing else.

    python verify_audit.py EXPORT [--key KEY]... [--checkpoint FILE]...

EXPORT is what `manage.py export_audit` wrote. KEY is the log's verifier key as you saw it first (/audit/key); after a
change of the key that was announced give the new one as well. Without any, the keys that the log names itself are
used, which proves that the log fits together, but not whose it is. FILE is a checkpoint (/audit/checkpoint) that you
kept from an earlier day: the log must still begin with what it signed.

Exit status 0: whole. 1: damaged, the first damaged entry is named. 2: a file could not be read, or a checkpoint is
signed with a key that was not given.
"""

import argparse
import base64
import bisect
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class Damaged(Exception):
    pass


class KeyNotGiven(Exception):
    pass


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_bytes(entry):
    """The canonical JSON of an entry: sorted keys, no spaces, UTF-8."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def add_leaf(peaks, leaf):
    """`peaks` are (height, hash) of the complete subtrees, the highest first (RFC 9162, 2.1)."""
    height, node = 0, leaf
    while peaks and peaks[-1][0] == height:
        node = sha256(b"\x01", peaks.pop()[1], node)
        height += 1
    peaks.append((height, node))


def root_of(peaks):
    if not peaks:
        return sha256()
    root = peaks[-1][1]
    for _, node in reversed(peaks[:-1]):
        root = sha256(b"\x01", node, root)
    return root


class Key:
    """A verifier key: name+key id+base64(0x01 || public key), as c2sp.org/signed-note has it."""

    def __init__(self, text):
        self.text = text.strip()
        self.name, self.id, encoded = self.text.split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
        if raw[:1] != b"\x01" or len(raw) != 33:
            raise ValueError("not an Ed25519 verifier key")
        if sha256(self.name.encode(), b"\n", raw)[:4].hex() != self.id:
            raise ValueError("the key id is not that of the key")
        self.public = Ed25519PublicKey.from_public_bytes(raw[1:])


def open_checkpoint(note, keys):
    """(size, root, text of the key) of a checkpoint that one of the keys signed."""
    text, _, signatures = note.rpartition("\n\n")
    _, size, root = text.split("\n")[:3]
    for line, key in ((line, key) for line in signatures.splitlines() for key in keys):
        prefix = "— " + key.name + " "
        raw = base64.b64decode(line[len(prefix) :]) if line.startswith(prefix) else b""
        if raw[:4].hex() != key.id:
            continue
        try:
            key.public.verify(raw[4:], (text + "\n").encode())
        except InvalidSignature:
            raise Damaged(f"the signature of the checkpoint of {size} entries is wrong") from None
        return int(size), base64.b64decode(root), key.text
    raise KeyNotGiven(
        f"the checkpoint of {size} entries is not signed by {', '.join(key.text for key in keys)}. If the operator has"
        " announced another key, give it as one more --key; if not, this is not the log that you knew"
    )


class Numbers:
    """Numbers of one writer as disjoint spans in order, neighbours joined: a whole log is one span."""

    def __init__(self):
        self.firsts, self.lasts = [], []

    def add(self, first, last):
        """False where one of them is there already."""
        at = bisect.bisect_right(self.firsts, first)
        if (at and self.lasts[at - 1] >= first) or (at < len(self.firsts) and self.firsts[at] <= last):
            return False
        self.firsts.insert(at, first)
        self.lasts.insert(at, last)
        for left in (at, at - 1):
            if 0 <= left < len(self.firsts) - 1 and self.lasts[left] + 1 == self.firsts[left + 1]:
                del self.lasts[left], self.firsts[left + 1]
        return True

    def missing(self):
        """The first number that is missing before the last one; None where there is none."""
        if self.firsts == [1]:
            return None
        return self.lasts[0] + 1 if self.firsts[0] == 1 else 1


def check_numbers(index, entry, seen):
    """Numbers of a writer are in the log once each; what is said to be removed counts as seen."""
    spans = [(entry["writer"], entry["number"], entry["number"])]
    if entry["action"] == "audit.gap":
        try:
            removed = entry["after"]
            first, last = int(removed["first"]), int(removed["last"])
            spans.append((int(entry["object"].split(":")[1]), first, last))
        except (ValueError, KeyError, TypeError, IndexError):
            first, last = 0, 0
        if not 0 < first <= last:
            raise Damaged(f"entry {index}: it names no gap")
        print(f"entry {index}: the log itself tells of removed records: {entry['after']}")
    for writer, first, last in spans:
        if not seen.setdefault(writer, Numbers()).add(first, last):
            raise Damaged(f"entry {index}: a number from {first} to {last} of writer {writer} is there twice")


def verify(lines, key_texts, kept):
    """(entries, root, keys that signed) of a whole log; Damaged or KeyNotGiven otherwise. `kept` are the notes of
    earlier checkpoints."""
    peaks, chain, size, seen, roots, last, named = [], bytes(32), 0, {}, {}, None, []
    sizes = {int(note.split("\n")[1]) for note in kept}
    for line in lines:
        if last is not None:
            raise Damaged("there is more behind the last checkpoint")
        if "checkpoint" in line:
            last = line
            continue
        if line["index"] != size:
            raise Damaged(f"entry {size}: it is missing; entry {line['index']} follows")
        leaf = sha256(b"\x00", leaf_bytes(line["entry"]))
        chain = sha256(b"\x02", chain, leaf)
        if line["chain"] != chain.hex():
            raise Damaged(f"entry {size}: it is not what was written, or not in its place")
        add_leaf(peaks, leaf)
        check_numbers(size, line["entry"], seen)
        if line["entry"]["action"] == "audit.key":
            named.append(line["entry"]["after"]["verifier"])
        size += 1
        if size in sizes:
            roots[size] = root_of(peaks)
    if last is None:
        raise Damaged(f"entry {size}: the log ends without the checkpoint that signs it")
    for writer, numbers in sorted(seen.items()):
        if numbers.missing() is not None:
            raise Damaged(f"number {numbers.missing()} of writer {writer} is missing")
    keys = [Key(text) for text in key_texts or named]
    signers = {}
    roots[size] = root_of(peaks)
    for note in [last["checkpoint"], *kept]:
        signed, root, signer = open_checkpoint(note, keys)
        signers[signer] = None
        if signed > size or (note == last["checkpoint"] and signed != size):
            raise Damaged(f"entry {size}: the log ends before it, but a checkpoint signs {signed} entries")
        if roots.get(signed, sha256()) != root:
            raise Damaged(f"the checkpoint of {signed} entries signs another log")
    return size, roots[size], list(signers)


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export")
    parser.add_argument("--key", action="append", default=[])
    parser.add_argument("--checkpoint", action="append", default=[])
    arguments = parser.parse_args()
    try:
        kept = []
        for path in arguments.checkpoint:
            with open(path, encoding="utf-8") as file:
                kept.append(file.read())
        size, root, signers = verify(read_lines(arguments.export), arguments.key, kept)
    except Damaged as damage:
        print(f"DAMAGED: {damage}")
        return 1
    except KeyNotGiven as error:
        print(f"not verified: {error}")
        return 2
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        print(f"not readable: {error!r}")
        return 2
    print(f"whole: {size} entries, root {root.hex()}")
    for signer in signers:
        print(f"signed by {signer}{'' if arguments.key else ' (named by the log itself)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
