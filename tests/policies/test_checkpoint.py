import errno
import os
import pickle

import numpy as np
import pytest
import torch

from policies import checkpoint
from policies.checkpoint import CheckpointError, CheckpointStore, load, random_state, set_random_state

STATE = {"weights": {"w": torch.arange(6.0).reshape(2, 3)}, "rate": 1e-3, "best": {}, "names": ["a", "b"]}


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    return a == b


def test_a_checkpoint_holds_what_was_saved(tmp_path):
    path = CheckpointStore(tmp_path / "new" / "checkpoints").save(12, STATE)
    assert path.name == "iteration_000012.pt"
    assert equal(load(path), STATE)


def test_the_newest_are_kept(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    (tmp_path / "notes.txt").write_text("mine")
    for iteration in (5, 1_000_000, 50, 100):
        store.save(iteration, STATE)
    assert [checkpoint.iteration_of(path) for path in store.paths()] == [1_000_000, 100]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "iteration_000100.pt",
        "iteration_1000000.pt",
        "notes.txt",
    ]


DAMAGE = {
    "one bit": lambda data: data[:-300] + bytes([data[-300] ^ 1]) + data[-299:],
    "cut short": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "longer": lambda data: data + b"x",
    "bit of the hash": lambda data: data[:30] + bytes([data[30] ^ 1]) + data[31:],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_newest_gives_way_to_the_one_before_and_is_named(tmp_path, kind):
    store = CheckpointStore(tmp_path)
    store.save(1, {"x": torch.ones(100)})
    newest = store.save(2, {"x": torch.zeros(100)})
    newest.write_bytes(DAMAGE[kind](newest.read_bytes()))
    state, path, damaged = store.load_newest()
    assert path.name == "iteration_000001.pt"
    assert torch.equal(state["x"], torch.ones(100))
    assert len(damaged) == 1
    assert "iteration_000002.pt" in damaged[0]
    assert "damaged" in damaged[0]


def test_no_checkpoint_and_no_whole_one_are_told_apart(tmp_path):
    store = CheckpointStore(tmp_path / "none")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        store.load_newest()
    store.save(1, STATE).write_bytes(b"")
    with pytest.raises(CheckpointError, match="is whole"):
        store.load_newest()


class Payload:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_reading_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = CheckpointStore(tmp_path).save(1, {"payload": Payload()})
    with pytest.raises(CheckpointError, match="something else than tensors"):
        load(path)
    assert not (tmp_path / "ran").exists()
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load(path)
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_is_one_sentence_and_the_earlier_checkpoint_stays(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path, keep=1)
    store.save(1, STATE)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match=r"iteration_000002.pt: No space left.*000001.pt is intact"):
            store.save(2, STATE)
    assert [path.name for path in tmp_path.iterdir()] == ["iteration_000001.pt"]
    assert equal(store.load_newest()[0], STATE)


def test_random_generators_go_on_where_they_were():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    np.random.standard_normal()  # noqa: NPY002  leaves half a pair behind
    state = random_state()
    drawn = torch.rand(5), np.random.standard_normal(5)  # noqa: NPY002
    set_random_state(state)
    assert torch.equal(torch.rand(5), drawn[0])
    np.testing.assert_array_equal(np.random.standard_normal(5), drawn[1])  # noqa: NPY002


def test_the_random_state_can_be_read_back(tmp_path):
    state = random_state()
    assert equal(load(CheckpointStore(tmp_path).save(1, state)), state)
