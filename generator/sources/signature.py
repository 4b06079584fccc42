"""Signatures of OpenSSH (`ssh-keygen -Y`), which every user of ssh can make and check."""

import base64
import tempfile
from collections.abc import Iterable
from pathlib import Path

from generator import programs
from generator.errors import GenError
from generator.ssh.keys import WireReader, fingerprint

INDEX_NAMESPACE = "gen-source"
"""A signature is for one namespace: one over a mail or a commit is none over an index."""
HANDOVER_NAMESPACE = "gen-source-key"
LARGEST = 16 * 1024  # bytes; that of an RSA key of 16384 bits has 6 kB
_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_PRINCIPAL = "source"
# ssh-keygen may wait for a passphrase or the touch of a token.
_SIGN_SECONDS = 120
_VERIFY_SECONDS = 20


def signer(signature: bytes, name: str) -> str:
    """Return the public key in a signature, as `TYPE BASE64`.

    The key is in the signature itself (OpenSSH's PROTOCOL.sshsig): it says who claims to have
    signed, and only `verified` says whether that is true.
    """
    try:
        text = signature.decode("ascii").strip()
        if not text.startswith(_BEGIN) or not text.endswith(_END):
            raise ValueError("has no armor")
        encoded = text.removeprefix(_BEGIN).removesuffix(_END)
        reader = WireReader(base64.b64decode("".join(encoded.split()), validate=True))
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise ValueError("has another magic number")
        # The key comes after the version, and its wire form names its type once more.
        reader.number(4)  # version of the format, which ssh-keygen checks
        blob = reader.string()
        kind = WireReader(blob).string().decode("ascii")
        key = f"{kind} {base64.b64encode(blob).decode()}"
        fingerprint(key)
    except ValueError:  # not ASCII, not base64, cut short
        raise GenError(f"{name}: is not a signature of ssh-keygen") from None
    return key


def verified(content: bytes, signature: bytes, namespace: str, keys: Iterable[str]) -> bool:
    """Return whether one of these public keys signed a content; ssh-keygen decides."""
    # The format is in ssh-keygen(1), ALLOWED SIGNERS; the namespace keeps a signature over another
    # kind of file from counting here.
    allowed_signers = [f'{_PRINCIPAL} namespaces="{namespace}" {key}\n' for key in keys]
    if not allowed_signers:
        return False
    with tempfile.TemporaryDirectory(prefix="gen-") as directory:
        allowed_file = Path(directory, "allowed_signers")
        signature_file = Path(directory, "signature")
        allowed_file.write_text("".join(allowed_signers))
        signature_file.write_bytes(signature)
        command = ["ssh-keygen", "-Y", "verify", "-n", namespace, "-I", _PRINCIPAL]
        command += ["-f", str(allowed_file), "-s", str(signature_file)]
        outcome = programs.run(command, seconds=_VERIFY_SECONDS, stdin=content)
    return outcome.status == 0


def sign(content: bytes, key: Path, namespace: str) -> bytes:
    """Return the signature of a key over a content.

    ssh-keygen asks for the passphrase itself, or an agent signs if `key` is a public key.
    """
    command = ["ssh-keygen", "-Y", "sign", "-n", namespace, "-f", str(key)]
    outcome = programs.run(command, seconds=_SIGN_SECONDS, stdin=content, terminal=True)
    if outcome.status != 0:
        raise GenError(f"{key}: cannot sign: {outcome.message}")
    return outcome.stdout
