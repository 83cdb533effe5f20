"""Public keys of users: what is accepted, and in which form it is stored (requirement A5)."""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from apps.accounts.errors import InvalidPublicKey

# Shorter ones are broken or soon will be; longer ones cost more to verify than an order is worth.
RSA_BITS_MIN: Final = 2048
RSA_BITS_MAX: Final = 4096
# An RSA key of 4096 bits takes 800 characters.
PEM_LENGTH_MAX: Final = 2000


def read_public_key(pem: str) -> tuple[str, bytes]:
    """(kind, DER of the SubjectPublicKeyInfo) of a key in PEM. Raises InvalidPublicKey."""
    if len(pem) > PEM_LENGTH_MAX or not pem.isascii():
        raise InvalidPublicKey("The text is not a public key in PEM form.")
    if "PRIVATE KEY" in pem:
        raise InvalidPublicKey("This is a private key: keep it for yourself, and send the public one.")
    try:
        key = load_pem_public_key(pem.strip().encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidPublicKey("The text is not a public key in PEM form.") from error
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(key, Ed25519PublicKey):
        return "ed25519", der
    if isinstance(key, RSAPublicKey):
        if not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
            raise InvalidPublicKey(f"An RSA key must have {RSA_BITS_MIN} to {RSA_BITS_MAX} bits.")
        return "rsa", der
    raise InvalidPublicKey("Only Ed25519 and RSA keys are accepted.")
