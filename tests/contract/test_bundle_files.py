"""Bundles on the disk: whole or not at all, and no changed byte is accepted."""

import errno
import io
import os
import re
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import toy_policy
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import archive, golden, manifest, storage
from contract.bundle import parse_bundle, read_bundle, read_files, write_bundle, zip_bundle
from contract.errors import BundleError

FILES = ("card.md", "contract.json", "golden.npz", "manifest.json", "plots/tracking.png", "policy.onnx")


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    return toy_policy.write(tmp_path / "toy")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return read_files(toy_policy.write(tmp_path_factory.mktemp("bundle") / "toy"))


def verify(files: Mapping[str, bytes]) -> None:
    manifest.verify(files)
    parse_bundle(Path("toy"), files)


def refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_bundle(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def zipped(files: Mapping[str, bytes], path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path


def test_directory_and_zip_hold_the_same(toy: Path) -> None:
    from_directory, from_zip = read_bundle(toy), read_bundle(zip_bundle(toy))
    assert from_directory.contract == from_zip.contract == toy_policy.contract()
    assert from_directory.files == from_zip.files
    assert from_directory.digest == from_zip.digest
    assert from_directory.onnx == toy_policy.graph().SerializeToString()
    assert from_directory.card == toy_policy.CARD
    assert from_directory.plots == toy_policy.PLOTS
    written = toy_policy.reference()
    for group in ("inputs", "outputs"):
        expected, got = getattr(written, group), getattr(from_directory.golden, group)
        assert expected.keys() == got.keys()
        for name in expected:
            np.testing.assert_array_equal(expected[name], got[name], strict=True)


def test_equal_bundles_are_equal_bytes(tmp_path: Path) -> None:
    first, second = toy_policy.write(tmp_path / "a" / "toy"), toy_policy.write(tmp_path / "b" / "toy")
    assert zip_bundle(first).read_bytes() == zip_bundle(second).read_bytes()


def test_numpy_opens_the_traces(toy: Path) -> None:
    with np.load(toy / "golden.npz") as arrays:
        np.testing.assert_array_equal(arrays["inputs/gyro"], toy_policy.reference().inputs["gyro"])


def test_archive_made_by_another_tool_is_read(content: dict[str, bytes], tmp_path: Path) -> None:
    assert read_bundle(zipped(content, tmp_path / "toy.zip")).digest == manifest.digest(content)


def test_bundle_behind_a_link_is_read(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(toy)
    read_bundle(tmp_path / "latest")


@pytest.mark.parametrize("name", FILES)
def test_changed_byte_is_named(toy: Path, name: str) -> None:
    data = bytearray((toy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (toy / name).write_bytes(data)
    message = refusal(toy)
    assert message.startswith(name) or name == "manifest.json"  # in which a changed name or hash is another file's


@pytest.mark.parametrize("name", FILES)
def test_missing_file_is_named(toy: Path, name: str) -> None:
    (toy / name).unlink()
    assert refusal(toy).startswith(f"{name}: missing")


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("manifest.json", "plots/tracking.png")])
def test_file_missing_from_the_manifest_too_is_named(content: dict[str, bytes], name: str) -> None:
    files = {file: data for file, data in content.items() if file not in (name, "manifest.json")}
    files["manifest.json"] = manifest.make(files)
    with pytest.raises(BundleError, match=f"^{name}: missing$"):
        verify(files)


@pytest.mark.parametrize("name", ["extra.txt", "plots/new.png", "policy.onnx.data", "plots/deep/new.png", ".hidden"])
def test_extra_file_is_named(toy: Path, name: str) -> None:
    (toy / name).parent.mkdir(exist_ok=True)
    (toy / name).write_bytes(b"surprise")
    assert refusal(toy).startswith((f"{name}: ", "plots/deep: "))


@pytest.mark.parametrize("name", FILES)
def test_link_is_refused(toy: Path, name: str) -> None:
    (toy / name).rename(toy.parent / "outside")
    (toy / name).symlink_to(toy.parent / "outside")
    assert refusal(toy) == f"{name}: must be a plain file, not a link"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_named_pipe_is_refused_without_waiting(toy: Path) -> None:
    (toy / "card.md").unlink()
    os.mkfifo(toy / "card.md")
    assert refusal(toy) == "card.md: must be a plain file"


@given(st.data())
@settings(deadline=None)
def test_flipped_byte_anywhere_is_refused(content: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(FILES))
    changed = bytearray(content[name])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BundleError):
        verify({**content, name: bytes(changed)})


@given(st.data())
@settings(deadline=None)
def test_truncated_file_is_refused(content: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(FILES))
    length = data.draw(st.integers(0, len(content[name]) - 1))
    with pytest.raises(BundleError):
        verify({**content, name: content[name][:length]})


@given(st.data(), st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
@settings(deadline=None)
def test_flipped_byte_in_zip_is_refused_or_harmless(
    content: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, compression: int
) -> None:
    path = zipped(content, tmp_path_factory.getbasetemp() / "flipped.zip", compression)
    changed = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(changed)
    try:
        bundle = read_bundle(path)
    except BundleError as error:
        assert "\n" not in str(error)
    else:  # dates and the like: nothing that is used
        assert bundle.files == content


@given(st.data())
@settings(deadline=None)
def test_truncated_zip_is_refused(
    content: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = zipped(content, tmp_path_factory.getbasetemp() / "truncated.zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert refusal(path)


@given(st.data())
@settings(deadline=None)
def test_damaged_traces_are_refused(content: dict[str, bytes], data: st.DataObject) -> None:
    """Also with hashes that fit: the parser itself must not crash, hang or allocate what a header claims."""
    changed = bytearray(content["golden.npz"])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        traces = golden.from_npz(bytes(changed))
    except BundleError as error:
        assert str(error).startswith("golden.npz: ") or ".npy: " in str(error)
    else:
        golden.check(traces, toy_policy.contract())


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "/etc/evil.png",
        "plots/../../evil.png",
        "plots\\..\\evil.png",
        "toy/policy.onnx",
        "POLICY.ONNX.txt",
        "\x1b[2J",
        "x" * 60_000,
    ],
)
def test_name_that_leaves_the_bundle_is_refused(content: dict[str, bytes], tmp_path: Path, name: str) -> None:
    path = zipped({**content, name: b"evil"}, tmp_path / "toy.zip")
    message = refusal(path)
    assert "unexpected file" in message
    assert message.isprintable()
    assert len(message) < 300
    assert [entry.name for entry in tmp_path.iterdir()] == ["toy.zip"]


@pytest.mark.parametrize("name", ["../", "../../etc/", "/", "plots/deep/", "a\\b/"])
def test_folder_that_leaves_the_bundle_is_refused(content: dict[str, bytes], tmp_path: Path, name: str) -> None:
    assert refusal(zipped({**content, name: b""}, tmp_path / "toy.zip")).endswith("unexpected folder in the bundle")
    read_bundle(zipped({**content, "plots/": b""}, tmp_path / "toy.zip"))  # as `zip -r` writes it


def test_compression_bomb_is_refused(content: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped({**content, "card.md": bytes(50 * 1024 * 1024)}, tmp_path / "toy.zip")
    assert path.stat().st_size < 1024 * 1024
    assert refusal(path).startswith("card.md: larger than the 4194304 bytes")


def test_many_files_within_bounds_that_expand_far_are_refused(content: dict[str, bytes], tmp_path: Path) -> None:
    plots = {f"plots/{i}.png": bytes(4 * 1024 * 1024) for i in range(5)}
    path = zipped({**content, **plots}, tmp_path / "toy.zip")
    assert refusal(path).endswith("expands to more than 100 times its size, as no policy does")


@pytest.mark.parametrize("declared", [10, 4_000_000])
def test_size_that_is_declared_wrong_is_refused(content: dict[str, bytes], tmp_path: Path, declared: int) -> None:
    """By a bomb that hides behind a small figure, and by a file that ends early."""
    path = zipped({**content, "card.md": bytes(3_000_000)}, tmp_path / "toy.zip")
    data, patched = bytearray(path.read_bytes()), 0
    for name in re.finditer(rb"card\.md", bytes(data)):
        for header, length, size_at in ((b"PK\x01\x02", 46, 24), (b"PK\x03\x04", 30, 22)):  # central, local
            start = name.start() - length
            if data[start : start + 4] == header:
                data[start + size_at : start + size_at + 4] = declared.to_bytes(4, "little")
                patched += 1
    assert patched == 2
    path.write_bytes(data)
    assert refusal(path).endswith("damaged zip archive: copy it again from its source")


def test_names_that_differ_in_case_alone_are_refused(toy: Path, content: dict[str, bytes], tmp_path: Path) -> None:
    """Copied to some systems, the file that was verified would not be the one that is left."""
    for twin in ("Policy.onnx", "plots/Tracking.png"):
        assert refusal(zipped({**content, twin: b""}, tmp_path / "twin.zip")).startswith(f"{twin}: differs from ")
    (toy / "plots" / "Tracking.png").write_bytes(b"")
    assert "plots/tracking.png: differs from plots/Tracking.png in case alone" in refusal(toy)
    arguments = (toy_policy.contract(), b"graph", toy_policy.reference(), "card")
    with pytest.raises(BundleError, match=r"^plots/A\.png: differs from plots/a\.png in case alone"):
        write_bundle(tmp_path / "new", *arguments, {"a.png": b"", "A.png": b""})


def test_second_name_of_a_member_is_refused(content: dict[str, bytes], tmp_path: Path) -> None:
    """`zipfile` ends a name at a NUL, other tools do not."""
    path = zipped({n: d for n, d in content.items() if n != "card.md"}, tmp_path / "toy.zip")
    with zipfile.ZipFile(path, "a") as target:
        target.writestr("card.md#x", content["card.md"])
    path.write_bytes(path.read_bytes().replace(b"card.md#x", b"card.md\0x"))
    assert refusal(path) == "card.md: has a second name card.md\\x00x: make the archive again"


def test_member_without_a_name_is_refused(content: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped({**content, "#evil": b""}, tmp_path / "toy.zip")
    path.write_bytes(path.read_bytes().replace(b"#evil", b"\0evil"))
    assert "unexpected file" in refusal(path)


def test_folder_full_of_files_is_refused(toy: Path) -> None:
    for i in range(1001):
        (toy / "plots" / f"{i}.png").touch()
    assert refusal(toy).endswith("plots: holds too many files for a bundle")


@pytest.mark.parametrize("target", ["outside", "."])
def test_linked_folder_is_refused(toy: Path, target: str) -> None:
    (toy / "plots").rename(toy.parent / "outside")
    (toy / "plots").symlink_to(toy.parent / target, target_is_directory=True)
    assert refusal(toy).startswith("plots: ")


def test_total_size_is_bounded(content: dict[str, bytes]) -> None:
    data = archive.write_zip(content)
    total = sum(map(len, content.values()))
    assert archive.read_zip(data, "toy.zip", lambda name: total, total) == content
    with pytest.raises(BundleError, match="larger than"):
        archive.read_zip(data, "toy.zip", lambda name: total, total - 1)


def test_endless_list_of_members_is_refused(tmp_path: Path) -> None:
    path = zipped({f"plots/{i:05}.png": b"" for i in range(2000)}, tmp_path / "toy.zip")
    assert refusal(path).endswith("lists too many files for a bundle")


def test_large_archive_format_is_refused(content: dict[str, bytes], tmp_path: Path) -> None:
    data = archive.write_zip(content)
    locator = b"PK\x06\x07" + bytes(16)
    (tmp_path / "toy.zip").write_bytes(data[:-22] + locator + data[-22:])
    assert refusal(tmp_path / "toy.zip").endswith("lists too many files for a bundle")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_special_member_is_refused(content: dict[str, bytes], tmp_path: Path, kind: int) -> None:
    path = tmp_path / "toy.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name, data in content.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (kind if name == "policy.onnx" else stat.S_IFREG) << 16
            target.writestr(member, data)
    assert refusal(path) == "policy.onnx: must be a plain file, not a link or device"


def test_repeated_member_is_refused(content: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped(content, tmp_path / "toy.zip")
    with zipfile.ZipFile(path, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("card.md", content["card.md"])
    assert refusal(path).startswith("card.md: appears twice")


def test_unusual_compression_is_refused(content: dict[str, bytes], tmp_path: Path) -> None:
    path = zipped(content, tmp_path / "toy.zip", zipfile.ZIP_BZIP2)
    assert "compressed by an unusual method" in refusal(path)


def test_encrypted_member_is_refused(content: dict[str, bytes], tmp_path: Path) -> None:
    data = bytearray(archive.write_zip(content))
    directory = data.index(b"PK\x01\x02")
    data[directory + 8] |= 1
    (tmp_path / "toy.zip").write_bytes(data)
    assert "encrypted" in refusal(tmp_path / "toy.zip")


def test_newer_manifest_asks_for_an_upgrade(toy: Path) -> None:
    text = (toy / "manifest.json").read_text()
    (toy / "manifest.json").write_text(text.replace('"version": 1', '"version": 2'))
    assert refusal(toy) == "manifest.json: version: 2: made by a newer Landbridge: upgrade"


def test_no_bundle_at_all(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nothing").endswith("nothing: no such bundle")
    assert refusal(tmp_path) == "manifest.json: missing: not a bundle, or not a complete one"
    (tmp_path / "text.zip").write_text("text")
    assert refusal(tmp_path / "text.zip").endswith("damaged zip archive: copy it again from its source")
    assert "name too long" in refusal(tmp_path / ("x" * 300)).lower()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999,), }", "36 bytes do not make shape"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (10,), }", "36 bytes do not make shape [10]"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -9), }", "must be a float32 array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }", "must be a float32 array"),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 999999999, 999999999), }",
            "must be a float32 array",
        ),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (09,), }", "must be a float32 array"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (9,), }", "must be a float32 array"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }", "must be a float32 array"),
        ("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 3), }", "must be a float32 array in C order"),
        ("__import__('os').getcwd()", "must be a float32 array"),
        ("(" * 4000, "must be a float32 array"),
    ],
)
def test_hostile_array_is_refused(header: str, message: str) -> None:
    text = header.encode().ljust(4086) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(36)
    with pytest.raises(BundleError) as caught:
        golden.from_npz(archive.write_zip({"inputs/gyro.npy": array}))
    assert str(caught.value).startswith("golden.npz: inputs/gyro: ")
    assert message in str(caught.value)


def test_traces_must_fit_the_contract() -> None:
    contract, right = toy_policy.contract(), toy_policy.reference()
    gyro = right.inputs["gyro"]
    nan = gyro.copy()
    nan[3, 1, 2] = np.nan
    long = golden.Golden(
        {k: np.zeros((10_001, 1, *v.shape[2:]), np.float32) for k, v in right.inputs.items()},
        {k: np.zeros((10_001, 1, *v.shape[2:]), np.float32) for k, v in right.outputs.items()},
    )
    short = golden.Golden({k: v[:1] for k, v in right.inputs.items()}, {k: v[:1] for k, v in right.outputs.items()})
    for wrong, message in (
        (
            golden.Golden({**right.inputs, "accel": gyro}, right.outputs),
            "inputs/accel: the contract has no such",
        ),
        (golden.Golden({"gyro": gyro}, right.outputs), "inputs/joint_pos: missing"),
        (
            golden.Golden({**right.inputs, "gyro": gyro[..., :2]}, right.outputs),
            "inputs/gyro: must have shape",
        ),
        (
            golden.Golden({**right.inputs, "command": gyro[:3, :, :1]}, right.outputs),
            "inputs/command: must have",
        ),
        (golden.Golden({**right.inputs, "gyro": nan}, right.outputs), "inputs/gyro: must be finite"),
        (golden.Golden(right.inputs, {"joint_target": gyro[..., :2]}), "outputs/next_last_action: missing"),
        (short, "must hold at least 2 steps"),
        (long, "must hold at most 10000 steps of 1000 traces, got 10001 of 1"),
    ):
        with pytest.raises(BundleError) as caught:
            golden.check(wrong, contract)
        assert str(caught.value).startswith(f"golden.npz: {message}")


def rewrite(path: Path) -> None:
    write_bundle(path, toy_policy.contract(), b"another graph", toy_policy.reference(), "another card", {})


def test_bundle_is_replaced_whole(toy: Path) -> None:
    rewrite(toy)
    assert read_bundle(toy).card == "another card"
    assert [entry.name for entry in toy.parent.iterdir()] == ["toy"]
    assert not (toy / "plots").exists()


@pytest.mark.parametrize("written", range(5))
def test_full_disk_leaves_the_old_bundle(toy: Path, monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    calls = iter(range(100))

    def fsync(descriptor: int) -> None:
        if next(calls) == written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = read_bundle(toy).digest
    monkeypatch.setattr(storage.os, "fsync", fsync)
    with pytest.raises(BundleError, match="could not be written") as caught:
        rewrite(toy)
    assert str(caught.value).endswith("(No space left on device); what was there before is unchanged")
    assert read_bundle(toy).digest == before
    assert [entry.name for entry in toy.parent.iterdir()] == ["toy"]


def test_full_disk_leaves_the_old_zip(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = zip_bundle(toy).read_bytes()

    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rewrite(toy)
    monkeypatch.setattr(storage.os, "fsync", fsync)
    with pytest.raises(BundleError, match="No space left on device"):
        zip_bundle(toy)
    assert toy.with_suffix(".zip").read_bytes() == before
    assert sorted(entry.name for entry in toy.parent.iterdir()) == ["toy", "toy.zip"]


def test_failed_rename_brings_the_old_bundle_back(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(self, target)

    before = read_bundle(toy).digest
    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(BundleError, match="could not be written"):
        rewrite(toy)
    assert read_bundle(toy).digest == before
    assert [entry.name for entry in toy.parent.iterdir()] == ["toy"]


def test_what_is_not_a_bundle_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="is not a bundle: choose another path"):
        rewrite(tmp_path)
    with pytest.raises(BundleError, match="is not a bundle: choose another path"):
        rewrite(tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    rewrite(tmp_path / "empty")


@pytest.mark.parametrize("name", ["../up.png", "a/b.png", "curve.svg", ".png", "x" * 200 + ".png"])
def test_bad_plot_name_is_refused(tmp_path: Path, name: str) -> None:
    arguments = (toy_policy.contract(), b"graph", toy_policy.reference(), "card")
    with pytest.raises(BundleError, match=r"plots are named NAME\.png"):
        write_bundle(tmp_path / "toy", *arguments, {name: b""})
    assert not (tmp_path / "toy").exists()


def test_too_large_a_file_is_refused_before_writing(tmp_path: Path) -> None:
    arguments = (toy_policy.contract(), b"graph", toy_policy.reference())
    with pytest.raises(BundleError, match=r"^card\.md: 5000000 bytes, and a bundle holds at most 4194304$"):
        write_bundle(tmp_path / "toy", *arguments, "x" * 5_000_000, {})
    assert not (tmp_path / "toy").exists()


def test_listed_file_must_be_one_a_bundle_may_hold() -> None:
    for name in ("manifest.json", "signature.json"):
        files = {name: b""}
        with pytest.raises(BundleError, match=f"must not list {name}"):
            manifest.verify({**files, "manifest.json": manifest.make(files)})


def test_zip_is_readable_by_others(toy: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(zip_bundle(toy).read_bytes())) as opened:
        assert opened.testzip() is None
        assert sorted(opened.namelist()) == sorted(FILES)
