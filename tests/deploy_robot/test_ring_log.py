from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import LandbridgeError
from deploy_robot.ring_log import RingLog, save_npz


@given(st.integers(1, 8), st.integers(0, 30))
def test_keeps_the_newest_rows_in_order(capacity: int, count: int) -> None:
    log = RingLog({"time": (), "pos": (2,)}, capacity)
    for i in range(count):
        log.append(i, [i, -i])
    arrays = log.arrays()
    expected = list(range(count))[-capacity:]
    assert len(log) == len(expected)
    assert arrays["time"].tolist() == expected
    assert arrays["pos"].tolist() == [[i, -i] for i in expected]


def test_what_is_read_does_not_change_later() -> None:
    log = RingLog({"time": ()}, 2)
    log.append(1.0)
    before = log.arrays()["time"]
    log.append(2.0)
    log.append(3.0)
    assert before.tolist() == [1.0]


def test_a_saved_log_can_be_loaded(tmp_path: Path) -> None:
    log = RingLog({"time": (), "pos": (2,)}, 10)
    log.append(0.5, [1.0, 2.0])
    save_npz(tmp_path / "log.npz", log.arrays() | {"report": "{}"})
    with np.load(tmp_path / "log.npz") as file:
        assert file["pos"].tolist() == [[1.0, 2.0]]
        assert str(file["report"]) == "{}"


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LandbridgeError, match=r"missing/log\.npz: the log could not be written: No such file"):
        save_npz(tmp_path / "missing" / "log.npz", {})
