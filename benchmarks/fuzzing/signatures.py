"""Manifest and signature, and forgeries of both."""

import json
from collections.abc import Callable, Mapping
from random import Random

from benchmarks.fuzzing.mutations import change_document
from benchmarks.fuzzing.targets import Violation
from contract import manifest, signature
from contract.bundle import verify_files
from contract.keys import PrivateKey
from contract.trust import TrustedKeys

Files = Mapping[str, bytes]
_SEPARATOR = b"\x00manifest ends here\x00"


def joined(signed: Files) -> bytes:
    """Manifest and signature as one input."""
    return signed[manifest.FILE] + _SEPARATOR + signed[signature.FILE]


def read_manifest(files: Files) -> Callable[[bytes], object]:
    """Reads a manifest of `files`; none but their own may pass."""

    def read(data: bytes) -> None:
        manifest.verify({**files, manifest.FILE: data})
        if data != files[manifest.FILE]:
            raise Violation("accepted two manifests for the same files")

    return read


def change_signed(stranger: PrivateKey) -> Callable[[Random, bytes], bytes]:
    """Changes the manifest, the signature, or forges one."""

    def change(random: Random, data: bytes) -> bytes:
        document, signed = data.split(_SEPARATOR)
        match random.randrange(5):
            case 0:
                document = change_document(random, document)
            case 1:  # a signature that holds, of nobody we know
                signed = signature.to_json(signature.make(document, stranger))
            case 2:  # the same, under a trusted name
                own = json.loads(signature.to_json(signature.make(document, stranger)))
                fields = random.sample(sorted(own), random.randint(1, len(own)))
                signed = json.dumps(json.loads(signed) | {name: own[name] for name in fields}).encode()
            case 3:
                digits = json.loads(signed)
                name = random.choice(sorted(digits))
                digits[name] = random.choice(
                    (digits[name].upper(), digits[name][::-1], "0" * len(digits[name]), "f" * 128)
                )
                signed = json.dumps(digits).encode()
            case _:
                signed = change_document(random, signed)
        return document + _SEPARATOR + signed

    return change


def read_signed(sound: Files, trusted: TrustedKeys) -> Callable[[bytes], object]:
    """Reads manifest and signature of a bundle; none but those of `sound` may pass."""
    right = json.loads(sound[signature.FILE])

    def read(data: bytes) -> None:
        document, _, signed = data.partition(_SEPARATOR)
        verify_files({**sound, manifest.FILE: document, signature.FILE: signed}, trusted)
        if document != sound[manifest.FILE] or json.loads(signed) != right:
            raise Violation("accepted a signature that the trusted key has not made")

    return read
