"""`landbridge keygen`, `sign` and `verify --trusted-keys`, as a user runs them."""

import getpass
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_policy
from signing_keys import AUTHOR, AUTHOR_ID, trust_author

from contract import keys, robots, trust
from contract.bundle import read_bundle, sign_bundle, zip_bundle
from contract.robot import Robot
from landbridge import passphrase
from landbridge.cli import main


@pytest.fixture(autouse=True)
def known_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Robot:
        assert name == "toy"
        return toy_policy.ROBOT

    monkeypatch.setattr(robots, "load", load)
    monkeypatch.delenv(trust.ENVIRONMENT, raising=False)
    monkeypatch.delenv(passphrase.ENVIRONMENT, raising=False)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return toy_policy.write(tmp_path / "toy")


@pytest.mark.parametrize("packed", [False, True])
def test_from_a_key_to_a_trusted_bundle(
    toy: Path, tmp_path: Path, packed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, folder = str(zip_bundle(toy) if packed else toy), tmp_path / "keys"
    assert main(["keygen", "--out", str(folder)]) == 0
    key_id = keys.fingerprint(keys.read_public(folder / "signing.pem")[0])
    assert key_id in capsys.readouterr().out
    assert main(["verify", bundle, "--trusted-keys", str(folder)]) == 1
    assert capsys.readouterr().out.startswith("FAIL  signature signature.json: missing")
    assert main(["sign", bundle, "--key", str(folder / "signing.key")]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"signed  {bundle}")
    assert key_id in said
    assert read_bundle(Path(bundle)).digest in said
    assert main(["verify", bundle, "--trusted-keys", str(folder)]) == 0
    assert f"ok    signature of key {key_id}, trusted by {folder / 'signing.pem'}" in capsys.readouterr().out
    assert main(["sign", bundle, "--key", str(folder / "signing.key")]) == 0
    assert capsys.readouterr().out.startswith("signed again  ")


def test_verify_says_who_signed_where_nobody_is_trusted(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(toy)]) == 0
    assert "signature none, and no trusted keys are configured here" in capsys.readouterr().out
    sign_bundle(read_bundle(toy), AUTHOR)
    assert main(["verify", str(toy)]) == 0
    assert f"signature of key {AUTHOR_ID}, which no trusted keys here vouch for" in capsys.readouterr().out


def test_the_environment_names_trusted_keys(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(trust.ENVIRONMENT, str(trust_author(tmp_path / "trusted")))
    assert main(["verify", str(toy)]) == 1
    assert "FAIL  signature signature.json: missing" in capsys.readouterr().out
    sign_bundle(read_bundle(toy), AUTHOR)
    assert main(["verify", str(toy)]) == 0


def test_trusted_keys_that_are_not_there_are_a_wrong_command_line(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(toy), "--trusted-keys", "nowhere"]) == 2
    assert capsys.readouterr().err == "landbridge: nowhere: cannot be read: no such file or directory\n"


def test_what_would_be_refused_everywhere_is_not_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_bytes(AUTHOR.private_pem())
    bundle = toy_policy.write(tmp_path / "toy", toy_policy.ToyParameters(gyro_scale=0.2))
    assert main(["sign", str(bundle), "--key", str(tmp_path / "key")]) == 1
    assert "does not reproduce golden.npz" in capsys.readouterr().err
    assert not (bundle / "signature.json").exists()
    changed = toy_policy.write(tmp_path / "changed")
    (changed / "card.md").write_text("a better story")
    assert main(["sign", str(changed), "--key", str(tmp_path / "key")]) == 1
    assert "card.md: changed since" in capsys.readouterr().err


def test_a_broken_signature_can_be_replaced(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(AUTHOR.private_pem())
    (toy / "signature.json").write_text("{}")
    assert main(["verify", str(toy)]) == 1
    assert main(["sign", str(toy), "--key", str(tmp_path / "key")]) == 0
    assert main(["verify", str(toy)]) == 0


# -- passphrases ----------------------------------------------------------------------------------------------------


class Terminal:
    """Answers what is asked, and keeps the questions."""

    def __init__(self, *answers: str) -> None:
        self.answers: Iterator[str] = iter(answers)

    def isatty(self) -> bool:
        return True

    def ask(self, prompt: str) -> str:
        try:
            return next(self.answers)
        except StopIteration:
            raise EOFError from None


def at_terminal(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    terminal = Terminal(*answers)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(getpass, "getpass", terminal.ask)


def test_an_encrypted_key_needs_its_passphrase(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_terminal(monkeypatch, "correct horse", "correct horse")
    assert main(["keygen", "--out", str(tmp_path / "keys"), "--passphrase"]) == 0
    sign = ["sign", str(toy), "--key", str(tmp_path / "keys" / "signing.key")]
    for answers, code, message in (
        (("battery staple",), 2, "wrong passphrase, or a damaged file"),
        (("",), 2, "the passphrase is empty"),
        ((), 2, "no passphrase was given"),
        (("correct horse",), 0, ""),
    ):
        at_terminal(monkeypatch, *answers)
        assert main(sign) == code
        assert message in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", open(Path("/dev/null")))  # noqa: SIM115  # for the rest of the test
    assert main(sign) == 2
    assert "there is no terminal to ask for it: set LANDBRIDGE_KEY_PASSPHRASE" in capsys.readouterr().err
    monkeypatch.setenv(passphrase.ENVIRONMENT, "correct horse")
    assert main(sign) == 0


@pytest.mark.parametrize("answers", [("one", "another"), ("", ""), ("one",)])
def test_a_passphrase_with_a_slip_makes_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...]
) -> None:
    at_terminal(monkeypatch, *answers)
    assert main(["keygen", "--out", str(tmp_path / "keys"), "--passphrase"]) == 2
    assert not (tmp_path / "keys").exists()


def test_keygen_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keygen", "--out", str(tmp_path)]) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["keygen", "--out", str(tmp_path)]) == 2
    assert "is there already, and a key is never overwritten" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# -- without cryptography -------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]

WITHOUT = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "cryptography":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
from landbridge.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_robot_without_cryptography_runs_signed_bundles_and_says_what_trust_needs(toy: Path, tmp_path: Path) -> None:
    sign_bundle(read_bundle(toy), AUTHOR)
    folder = trust_author(tmp_path / "trusted")

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", WITHOUT, *argv], capture_output=True, text=True, check=False, cwd=ROOT
        )

    assert "not checked: pip install 'landbridge[sign]'" in run("verify", str(toy)).stdout
    done = run("verify", str(toy), "--trusted-keys", str(folder))
    assert done.returncode == 1
    assert "pip install 'landbridge[sign]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
