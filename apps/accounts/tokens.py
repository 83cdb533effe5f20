"""How a random token is stored: mailed links, tickets, listen keys, cookies that make a browser known, session keys."""

import hashlib


def hash_token(token: str) -> bytes:
    """SHA-256 of the text. It has 125 random bits or more, so a plain hash cannot be searched; any text has a hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
