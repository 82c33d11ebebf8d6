"""Signatures and trust: what nobody trusted has signed does not run, and no change goes unnoticed."""

import dataclasses
import json
import stat
import sys
from pathlib import Path

import pytest
import toy_policy
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from signing_keys import AUTHOR, AUTHOR_ID, STRANGER, STRANGER_ID, trust_author

from contract import keys, manifest, signature, trust
from contract.bundle import parse_bundle, read_bundle, read_files, sign_bundle, verify_files, write_bundle, zip_bundle
from contract.errors import BundleError, LandbridgeError, UsageError
from contract.keys import PrivateKey
from contract.trust import TrustedKeys

UNENCRYPTED = "the file needs no passphrase"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return toy_policy.write(tmp_path / "toy")


@pytest.fixture
def trusted(tmp_path: Path) -> TrustedKeys:
    found = trust.configured(trust_author(tmp_path / "trusted"))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of a bundle that the author has signed."""
    path = toy_policy.write(tmp_path_factory.mktemp("bundle") / "toy")
    sign_bundle(read_bundle(path), AUTHOR)
    return read_files(path)


@pytest.fixture
def no_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)


def refusal(path: Path, trusted: TrustedKeys | None = None) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(path, trusted)
    assert str(caught.value).isprintable()
    return str(caught.value)


def no_passphrase() -> str:
    raise AssertionError(UNENCRYPTED)


# -- signing --------------------------------------------------------------------------------------------------------


def test_signed_directory_and_zip_are_trusted(toy: Path, trusted: TrustedKeys) -> None:
    packed = zip_bundle(toy)
    for path in (toy, packed):
        made = sign_bundle(read_bundle(path), AUTHOR)
        assert made.key_id == AUTHOR_ID
        assert read_bundle(path, trusted).digest == made.manifest_sha256
    assert read_files(toy) == read_files(packed)
    assert zip_bundle(toy).read_bytes() == packed.read_bytes()


def test_a_signature_leaves_the_digest(toy: Path) -> None:
    before = read_bundle(toy).digest
    sign_bundle(read_bundle(toy), AUTHOR)
    assert read_bundle(toy).digest == before


def test_a_new_signature_replaces_the_old(toy: Path, trusted: TrustedKeys) -> None:
    sign_bundle(read_bundle(toy), STRANGER)
    sign_bundle(read_bundle(toy), AUTHOR)
    assert read_bundle(toy, trusted)


def test_a_bundle_that_is_written_again_is_not_signed(toy: Path, trusted: TrustedKeys) -> None:
    sign_bundle(read_bundle(toy), AUTHOR)
    write_bundle(toy, toy_policy.contract(), b"graph", toy_policy.reference(), "card", {})
    assert refusal(toy, trusted).startswith("signature.json: missing")


def test_other_tools_can_check_a_signature(signed: dict[str, bytes], trusted: TrustedKeys) -> None:
    (pem,) = trusted.files.values()
    public = serialization.load_pem_public_key(pem.read_bytes())
    document = json.loads(signed["signature.json"])
    public.verify(bytes.fromhex(document["signature"]), signed["manifest.json"])  # type: ignore[union-attr, call-arg]


# -- refusals -------------------------------------------------------------------------------------------------------


def test_unsigned_bundle_is_refused_with_the_fix(toy: Path, trusted: TrustedKeys) -> None:
    message = refusal(toy, trusted)
    assert message.startswith("signature.json: missing: this bundle is not signed")
    assert str(trusted.source) in message
    assert "`landbridge sign`" in message
    read_bundle(toy)


def test_foreign_signature_is_refused_with_the_fix(toy: Path, trusted: TrustedKeys) -> None:
    sign_bundle(read_bundle(toy), STRANGER)
    message = refusal(toy, trusted)
    assert message.startswith(f"signature.json: signed by key {STRANGER_ID[:16]}, which is not among those in ")
    assert "have the bundle signed by one of these" in message
    read_bundle(toy)


@pytest.mark.parametrize("name", ["policy.onnx", "contract.json", "golden.npz", "card.md", "plots/tracking.png"])
def test_a_changed_file_under_an_old_signature_is_named(toy: Path, trusted: TrustedKeys, name: str) -> None:
    sign_bundle(read_bundle(toy), AUTHOR)
    (toy / name).write_bytes((toy / name).read_bytes() + b" ")
    assert refusal(toy, trusted).startswith(f"{name}: changed since the bundle was written")


@pytest.mark.parametrize("under_trust", [True, False])
def test_hashes_that_fit_do_not_help(toy: Path, trusted: TrustedKeys, under_trust: bool) -> None:
    sign_bundle(read_bundle(toy), AUTHOR)
    (toy / "card.md").write_text("a better story")
    listed = {n: d for n, d in _raw(toy).items() if n not in ("manifest.json", "signature.json")}
    (toy / "manifest.json").write_bytes(manifest.make(listed))
    message = refusal(toy, trusted if under_trust else None)
    assert message.startswith("signature.json: signs another state of this bundle")
    assert "get the original" in message


def _raw(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def forged(signed: dict[str, bytes], **fields: str) -> dict[str, bytes]:
    document = json.loads(signed["signature.json"]) | fields
    return {**signed, "signature.json": json.dumps(document).encode()}


def check(files: dict[str, bytes], trusted: TrustedKeys | None = None) -> str:
    with pytest.raises(BundleError) as caught:
        verify_files(files, trusted)
    return str(caught.value)


def test_a_borrowed_name_does_not_help(signed: dict[str, bytes], trusted: TrustedKeys) -> None:
    """A stranger who writes a trusted key's name, or key, over their own signature."""
    own = dataclasses.asdict(signature.make(signed["manifest.json"], STRANGER))
    assert "key_id: is not the fingerprint of public_key" in check(
        forged(signed, **own | {"key_id": AUTHOR_ID}), trusted
    )
    borrowed = {"key_id": AUTHOR_ID, "public_key": AUTHOR.public.hex()}
    assert "the signature does not hold" in check(forged(signed, **own | borrowed), trusted)


@given(st.integers(0, 511))
@settings(deadline=None)
def test_a_signature_with_any_changed_bit_is_refused(signed: dict[str, bytes], bit: int) -> None:
    made = bytearray.fromhex(json.loads(signed["signature.json"])["signature"])
    made[bit // 8] ^= 1 << bit % 8
    assert "the signature does not hold for manifest.json" in check(forged(signed, signature=made.hex()))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("algorithm", "none", "algorithm: must be 'ed25519', got 'none'"),
        ("key_id", "", "key_id: must be 32 bytes in lower-case hexadecimal"),
        ("key_id", AUTHOR_ID.upper(), "key_id: must be 32 bytes in lower-case hexadecimal"),
        ("public_key", "00" * 31, "public_key: must be 32 bytes in lower-case hexadecimal"),
        ("public_key", "\u0660" * 64, "public_key: must be 32 bytes in lower-case hexadecimal"),
        ("signature", "00" * 64 + "\n", "signature: must be one line of printable text"),
        ("signature", "00" * 63, "signature: must be 64 bytes in lower-case hexadecimal"),
        ("manifest_sha256", "0" * 64, "signs another state of this bundle"),
        ("comment", "trust me", "comment: unknown field"),
    ],
)
def test_malformed_signature_is_named(signed: dict[str, bytes], field: str, value: str, message: str) -> None:
    assert check(forged(signed, **{field: value})).startswith(f"signature.json: {message}")


def test_a_public_key_that_is_no_point_is_refused(signed: dict[str, bytes]) -> None:
    for public in (bytes(32), b"\xff" * 32):  # of small order, and out of range
        fields = {"public_key": public.hex(), "key_id": keys.fingerprint(public)}
        assert "the signature does not hold" in check(forged(signed, **fields))


def test_a_signature_that_is_no_json_is_refused(signed: dict[str, bytes]) -> None:
    for data in (b"", b"[]", b"\x00" * 100, signed["signature.json"][:-5]):
        assert check({**signed, "signature.json": data}).startswith("signature.json: ")


def test_a_huge_signature_is_not_read(toy: Path) -> None:
    (toy / "signature.json").write_bytes(bytes(5000))
    assert refusal(toy) == "signature.json: larger than the 4096 bytes that are allowed"


def test_a_signature_without_its_manifest_is_no_bundle(signed: dict[str, bytes], trusted: TrustedKeys) -> None:
    for names in (("signature.json",), ()):
        message = check({name: signed[name] for name in names}, trusted)
        assert message.startswith("manifest.json: missing")


def test_of_an_untrusted_bundle_nothing_else_is_looked_at(signed: dict[str, bytes], trusted: TrustedKeys) -> None:
    hostile = {**signed, "manifest.json": b"[" * 100_000}
    hostile["signature.json"] = signature.to_json(signature.make(hostile["manifest.json"], STRANGER))
    assert "which is not among those" in check(hostile, trusted)


# -- configuration --------------------------------------------------------------------------------------------------


def test_nothing_is_trusted_unless_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(trust.ENVIRONMENT, raising=False)
    assert trust.configured() is None
    assert trust.configured("") is None
    folder = trust_author(tmp_path / "trusted")
    monkeypatch.setenv(trust.ENVIRONMENT, str(folder))
    for given_ in (None, ""):
        found = trust.configured(given_)
        assert found is not None
        assert found.files == {AUTHOR_ID: folder / "author.pem"}
    (tmp_path / "one.pem").write_bytes(STRANGER.public_pem())
    found = trust.configured(tmp_path / "one.pem")
    assert found is not None
    assert set(found.files) == {STRANGER_ID}  # what is given counts, not what the environment says


def test_a_file_may_hold_several_keys(tmp_path: Path) -> None:
    (tmp_path / "both.pem").write_bytes(b"# ours\n" + AUTHOR.public_pem() + b"\n# theirs\n" + STRANGER.public_pem())
    assert set(trust.load(tmp_path / "both.pem").files) == {AUTHOR_ID, STRANGER_ID}


OTHER_KEY = ec.derive_private_key(1, ec.SECP256R1())
OTHER_PUBLIC_PEM = OTHER_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
OTHER_PRIVATE_PEM = OTHER_KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: no such file or directory"),
        (b"", "holds no public key as PEM"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "damaged public key"),
        (AUTHOR.private_pem(), "holds a private key: trust its public one"),
        (OTHER_PUBLIC_PEM, "not an Ed25519 key"),
        (bytes(100_000), "too large for a key"),
    ],
    ids=["none", "empty", "damaged", "private", "other", "large"],
)
def test_what_is_no_public_key_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        trust.configured(path)
    assert str(path) in str(caught.value)


def test_a_folder_without_keys_and_an_empty_variable_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A robot that was told to trust somebody must not end up with trusting anybody."""
    (tmp_path / "README").write_text("no keys here")
    with pytest.raises(UsageError, match="holds no public key"):
        trust.configured(tmp_path)
    monkeypatch.setenv(trust.ENVIRONMENT, "")
    with pytest.raises(UsageError, match="LANDBRIDGE_TRUSTED_KEYS is set and empty"):
        trust.configured()


# -- without cryptography -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_cryptography")
def test_without_cryptography_bundles_are_read_and_trust_is_refused(
    signed: dict[str, bytes], toy: Path, tmp_path: Path
) -> None:
    assert parse_bundle(toy, signed).files == signed
    verify_files(signed)
    assert "signs another state" in check(forged(signed, manifest_sha256="0" * 64))
    for attempt in (lambda: trust.load(tmp_path / "keys.pem"), PrivateKey.new):
        with pytest.raises(LandbridgeError, match=r"pip install 'landbridge\[sign\]'"):
            attempt()
    with pytest.raises(LandbridgeError, match=r"pip install 'landbridge\[sign\]'"):
        verify_files(signed, TrustedKeys(tmp_path, {AUTHOR_ID: tmp_path}))


# -- key files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_a_pair_is_written_and_read(tmp_path: Path, passphrase: str) -> None:
    private, public = keys.write_pair(tmp_path / "new" / "keys", AUTHOR, passphrase)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    assert (b"ENCRYPTED" in private.read_bytes()) == bool(passphrase)
    read = keys.read_private(private, (lambda: passphrase) if passphrase else no_passphrase)
    assert read.public == AUTHOR.public
    assert keys.read_public(public) == [AUTHOR.public]


@pytest.mark.parametrize("name", ["signing.key", "signing.pem"])
def test_a_key_is_never_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="never overwritten"):
        keys.write_pair(tmp_path, AUTHOR)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_new_keys_differ() -> None:
    assert PrivateKey.new().public != PrivateKey.new().public


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text", "not a private key as PEM$"),
        (AUTHOR.public_pem(), "this is a public key, and the private one signs"),
        (AUTHOR.private_pem().replace(b"MC4", b"MC5"), "damaged private key"),
        (AUTHOR.private_pem("right"), "wrong passphrase, or a damaged file"),
        (OTHER_PRIVATE_PEM, "not an Ed25519 key"),
    ],
    ids=["text", "public", "damaged", "passphrase", "other"],
)
def test_what_does_not_sign_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        keys.read_private(tmp_path / "key", lambda: "wrong")
