"""The black box: what it keeps, what independent readers make of it, and that it holds nobody up."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader
from supervised_robot import GO2, SupervisedRobot, rolled

from contract.errors import LandbridgeError, UsageError
from deploy_robot import cdr, recording, ticks
from deploy_robot.black_box import BlackBox, BlackBoxConfig
from deploy_robot.black_box_writer import MOST_FILES, Recorder, Records
from deploy_robot.constraint import Reaction
from deploy_robot.decision import Decision, Mode
from deploy_robot.driver import RobotState
from deploy_robot.recording import STEPS, TICKS, TRIPS, Message, Recording, read_recording
from deploy_robot.replay import rejudge

ABOUT = recording.about("unitree_go2")
SECOND = 1_000_000_000
PATIENCE = 120.0  # s


class RecordedRobot(SupervisedRobot):
    """Records itself as robot_node does."""

    def __init__(self, box: BlackBox) -> None:
        self._box = box
        super().__init__()

    def step(self, dt: float = 0.005) -> Decision:
        before, state = self.mode, self.state
        decision = super().step(dt)
        reading = self.supervisor.reading
        assert reading is not None
        if self.state is not None and self.state is not state:
            self._box.state(self.now, self.state)
        self._box.tick(self.now, self.now, before, decision, reading, self.target)
        return decision


class Eventful:
    """A run with trips of every kind of reaction, and its recording."""

    def __init__(self, folder: Path) -> None:
        config = BlackBoxConfig(str(folder), ABOUT, "/robot_1", whole_run=True)
        with BlackBox(config, GO2.joint_names) as box:
            robot = RecordedRobot(box)
            robot.bring_to(Mode.ACTIVE)
            robot.target_pos += 1.5
            robot.run(0.2)
            robot.heal()
            robot.run(1.0)
            robot.target_pos[3] = np.nan
            robot.run(0.2)
            robot.heal()
            robot.run(6.0)
            robot.imu_quat = rolled(1.5)
            robot.run(0.5)
            robot.heal()
            robot.run(1.0)
            robot.accept("reset")
            robot.run(0.2)
            robot.request("stop")
            robot.run(0.1)
            self.lost = box.lost
        self.robot = robot
        self.folder = folder
        (self.path,) = folder.glob("run-*.mcap")
        self.recording = read_recording(self.path)


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Eventful:
    return Eventful(tmp_path_factory.mktemp("eventful") / "made")


def message(seconds: float, topic: str = STEPS, data: bytes = b"") -> Message:
    return Message(topic, round(seconds * SECOND), data or cdr.Sections({"n": 1}).message([[seconds]]))


def trip(seconds: float, *constraints: tuple[str, int]) -> Message:
    at = round(seconds * SECOND)
    statuses = [cdr.Diagnostic(level, name, "", "", (("reaction", "hold"),)) for name, level in constraints]
    return Message(TRIPS, at, cdr.diagnostics(at, statuses))


def times(path: Path, topic: str = STEPS) -> list[float]:
    return [m.time / SECOND for m in read_recording(path).messages[topic]]


def test_nothing_is_lost_and_the_file_is_whole(eventful: Eventful) -> None:
    assert eventful.lost == 0
    assert eventful.recording.damage == ""
    assert eventful.recording.about == ABOUT


def test_an_independent_reader_finds_standard_messages(eventful: Eventful) -> None:
    with AnyReader([eventful.path]) as reader:
        types = {connection.topic: connection.msgtype for connection in reader.connections}
        assert types == {f"/robot_1/{topic}": type_ for topic, type_ in recording.TYPES.items()}
        last = {c.topic: reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages()}
    state = eventful.robot.state
    assert state is not None
    joints, imu = last["/robot_1/joint_states"], last["/robot_1/imu"]
    assert tuple(joints.name) == GO2.joint_names
    assert (joints.position == state.joint_pos).all()
    assert (joints.velocity == state.joint_vel).all()
    assert (joints.effort == state.joint_torque).all()
    q = imu.orientation
    assert [q.w, q.x, q.y, q.z] == state.imu_quat.tolist()
    assert [imu.angular_velocity.x, imu.angular_velocity.y] == state.gyro[:2].tolist()
    assert imu.linear_acceleration_covariance[0] == -1.0, "the robot gives no acceleration"
    stamp = imu.header.stamp
    assert stamp.sec + 1e-9 * stamp.nanosec == pytest.approx(state.stamp, abs=1e-9)
    assert last["/robot_1/robot_node/trips"].status[0].name == "operator_stop"
    tick = last["/robot_1/robot_node/ticks"]
    assert sum(dim.size for dim in tick.layout.dim) == len(tick.data)
    target = last["/robot_1/robot_node/joint_command"]
    assert eventful.robot.target is not None
    assert (target.position == eventful.robot.target.joint_target).all()


def test_trips_are_kept_in_files_of_their_own(eventful: Eventful) -> None:
    files = sorted(eventful.folder.glob("trip-*.mcap"))
    held = [{m.data for m in read_recording(path).messages[TRIPS]} for path in files]
    assert len(files) > 1
    assert set.union(*held) == {m.data for m in eventful.recording.messages[TRIPS]}
    assert any("-tilt" in path.name for path in files)


def test_judging_again_by_the_same_limits_gives_the_same_trips(eventful: Eventful) -> None:
    judgement = rejudge(eventful.recording)
    happened = eventful.robot.trips
    assert {Reaction.CLIP, Reaction.HOLD, Reaction.DAMP, Reaction.STOP} == {t.reaction for t in happened}
    start = eventful.recording.start / SECOND
    for found in (judgement.recorded, judgement.judged):
        assert [(t.constraint, t.reaction) for t in found] == [(t.constraint, t.reaction) for t in happened]
        assert [t.time + start for t in found] == pytest.approx([t.time for t in happened], abs=1e-6)
    words = [t.message for t in happened if t.constraint != "operator_stop"]
    assert [t.message for t in judgement.judged if t.constraint != "operator_stop"] == words
    assert judgement.lost == 0


def test_other_limits_give_other_trips(eventful: Eventful) -> None:
    def trips(**limits: float) -> list[str]:
        return [t.constraint for t in rejudge(eventful.recording, limits=limits).judged]

    usual = trips()
    assert usual.count("tilt") == 1
    assert "tilt" not in trips(tilt=1.6)
    # Looser than a bundle may be, and in the unit of the table: control periods.
    assert "lost_policy" not in trips(lost_policy=100.0, dead_policy=100.0)
    assert [name for name in trips(tilt=1.6) if name != "tilt"] == [name for name in usual if name != "tilt"]


def test_limits_that_are_none_are_refused(eventful: Eventful) -> None:
    with pytest.raises(UsageError, match="--monitors tlit: no such constraint; known ones: .*tilt"):
        rejudge(eventful.recording, limits={"tlit": 1.0})
    for value in (-1.0, np.nan, np.inf):
        with pytest.raises(UsageError, match=r"--monitors tilt=.*: must be a number from 0 on"):
            rejudge(eventful.recording, limits={"tilt": value})


def test_a_recording_without_the_loop_cannot_be_judged(tmp_path: Path) -> None:
    with pytest.raises(LandbridgeError, match="holds no turn of robot_node's loop"):
        rejudge(Recording(tmp_path, ABOUT, {STEPS: [message(1.0)]}))
    with pytest.raises(LandbridgeError, match="not a tick"):
        rejudge(Recording(tmp_path, ABOUT, {TICKS: [message(1.0)]}))


def test_a_trip_file_holds_what_came_before_and_a_little_after(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ABOUT, kept=2.0, aftermath=1.0)
    for n in range(50):
        recorder.add(message(0.1 * n))
    recorder.add(trip(5.0, ("slow", 1), ("tilt/../..", 2)))
    for n in range(50, 80):
        recorder.add(message(0.1 * n))
    recorder.finish()
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("trip-"), "nothing else was asked for"
    assert path.name.endswith("-tilt.mcap"), "the severest, and no path in it"
    held = times(path)
    assert held[0] == pytest.approx(3.0)
    assert held[-1] == pytest.approx(6.0)
    assert len(held) == 31


def test_a_trip_is_on_the_disk_before_its_aftermath(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ABOUT)
    recorder.add(message(1.0))
    recorder.add(trip(1.1, ("tilt", 2)))
    wait_for(lambda: len(list(tmp_path.glob("trip-*.mcap"))) == 1)
    (path,) = tmp_path.glob("*.mcap")
    assert times(path) == [1.0]
    recorder.add(message(1.2))
    recorder.finish()
    assert times(path) == [1.0, 1.2]


def test_only_the_newest_trip_files_are_kept(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ABOUT, kept=1.0, aftermath=1.0)
    for n in range(MOST_FILES + 3):
        recorder.add(message(10.0 * n))
        recorder.add(trip(10.0 * n + 0.5, (f"c{n}", 1)))
        recorder.add(message(10.0 * n + 5.0))
    recorder.finish()
    names = {path.stem.rpartition("-")[2] for path in tmp_path.iterdir()}
    assert names == {f"c{n}" for n in range(3, MOST_FILES + 3)}


def test_files_never_overwrite_each_other(tmp_path: Path) -> None:
    for _ in range(2):
        recorder = Recorder(tmp_path, ABOUT, whole_run=True)
        recorder.add(message(1.0))
        recorder.add(trip(1.0, ("tilt", 2)))
        recorder.finish()
    assert len(list(tmp_path.glob("run-*.mcap"))) == len(list(tmp_path.glob("trip-*.mcap"))) == 2


def test_a_recorder_that_is_killed_leaves_what_it_had_flushed(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, ABOUT, whole_run=True)
    sent = [message(0.01 * n, data=bytes(10_000)) for n in range(200)]
    for one in sent:
        recorder.add(one)
    recorder.flush()
    (path,) = tmp_path.iterdir()
    found = read_recording(path)
    assert found.damage
    assert found.messages[STEPS] == sent[: len(found.messages[STEPS])]
    assert len(found.messages[STEPS]) > len(sent) // 2
    recorder.finish()
    assert read_recording(path).messages[STEPS] == sent


def test_a_folder_that_is_gone_is_one_line_and_no_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(tmp_path / "gone", ABOUT, whole_run=True)
    recorder.add(trip(1.0, ("tilt", 2)))
    recorder.finish()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 3, "the run, and the trip twice"
    assert all("could not be written: No such file or directory" in line for line in lines)


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 20))
@settings(max_examples=50)
def test_records_come_out_of_the_pipe_as_they_went_in(payloads: list[bytes], size: int) -> None:
    from deploy_robot.black_box import HEADER

    stream = b"".join(HEADER.pack(len(p), n, -n) + p for n, p in enumerate(payloads))
    records = Records()
    found = [r for at in range(0, len(stream), size) for r in records.feed(stream[at : at + size])]
    assert found == [(n, -n, p) for n, p in enumerate(payloads)]


def test_a_writer_that_hangs_costs_messages_and_nothing_else(tmp_path: Path) -> None:
    robot = SupervisedRobot()
    robot.step()
    reading = robot.supervisor.reading
    assert reading is not None
    sent = 0
    with BlackBox(BlackBoxConfig(str(tmp_path), ABOUT, whole_run=True), GO2.joint_names) as box:
        os.kill(box._writer.pid, signal.SIGSTOP)
        try:
            while not box.lost:  # a call that waited would wait for ever
                box.message(STEPS, 1.0, bytes(200_000))
                box.tick(1.0, 1.0, Mode.PASSIVE, robot.decision, reading, None)
                sent += 2
        finally:
            os.kill(box._writer.pid, signal.SIGCONT)
    (path,) = tmp_path.iterdir()
    found = read_recording(path)
    assert found.damage == ""
    assert sum(len(messages) for messages in found.messages.values()) == sent - box.lost


def test_a_writer_that_dies_costs_messages_and_nothing_else(tmp_path: Path) -> None:
    with BlackBox(BlackBoxConfig(str(tmp_path), ABOUT), GO2.joint_names) as box:
        box._writer.kill()
        box._writer.wait()
        while not box.lost:
            box.message(STEPS, 1.0, bytes(1_000_000))


def test_a_node_that_is_killed_leaves_its_recording(tmp_path: Path) -> None:
    code = f"""
import os, signal
from deploy_robot.black_box import BlackBox, BlackBoxConfig
from deploy_robot.driver import RobotState
import numpy as np
from contract import robots
from deploy_robot.supervisor import Mode, Supervisor
robot = robots.load("unitree_go2")
supervisor = Supervisor(robot)
box = BlackBox(BlackBoxConfig({str(tmp_path)!r}, {ABOUT!r}, whole_run=True), robot.joint_names)
for n in range(300):
    decision = supervisor.step(0.005 * n, None, None)
    box.tick(0.005 * n, 0.005 * n, Mode.PASSIVE, decision, supervisor.reading, None)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    (path,) = tmp_path.glob("run-*.mcap")
    wait_for(lambda: is_whole(path))
    assert len(read_recording(path).messages[TICKS]) == 300


@pytest.mark.parametrize(
    "change",
    [
        {"stamp": np.nan},
        {"stamp": np.inf},
        {"stamp": -1e300},
        {"joint_pos": np.zeros(3)},
        {"imu_quat": None},
        {"gyro": "fast"},
    ],
)
def test_a_sample_that_is_garbage_is_counted(tmp_path: Path, change: dict[str, object]) -> None:
    sample: dict[str, object] = {
        "stamp": 1.0,
        "seq": 1,
        "joint_pos": np.zeros(12),
        "joint_vel": np.zeros(12),
        "imu_quat": np.array([1.0, 0.0, 0.0, 0.0]),
        "gyro": np.zeros(3),
    }
    box = UnopenedBox()
    box.state(1.0, RobotState(**sample))  # type: ignore[arg-type]
    assert box.lost == 0
    box.state(1.0, RobotState(**{**sample, **change}))  # type: ignore[arg-type]
    assert box.lost == 1


class UnopenedBox(BlackBox):
    """Encodes, and keeps it."""

    def __init__(self) -> None:
        self.lost = self.offset = 0
        self._names = GO2.joint_names
        self._imu_frame = "imu"
        self._waiting = bytearray()


def test_a_box_that_cannot_open_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LandbridgeError, match="no black box: (Not a directory|File exists)"):
        BlackBox(BlackBoxConfig(str(tmp_path / "file"), ABOUT), GO2.joint_names)
    monkeypatch.setattr("deploy_robot.black_box.WRITER", "deploy_robot.no_such_module")
    with pytest.raises(LandbridgeError, match="the process that writes it does not start"):
        BlackBox(BlackBoxConfig(str(tmp_path), ABOUT), GO2.joint_names)
    monkeypatch.setitem(sys.modules, "mcap.writer", None)
    with pytest.raises(LandbridgeError, match="pip install mcap"):
        BlackBox(BlackBoxConfig(str(tmp_path), ABOUT), GO2.joint_names)


SENT = [message(0.1 * n, data=np.random.default_rng(n).bytes(3000)) for n in range(400)]
WHOLE = recording.to_bytes(SENT, ABOUT)


@given(st.integers(0, len(WHOLE) - 1))
@settings(max_examples=30, deadline=None)
def test_of_a_file_that_is_cut_off_the_whole_part_is_read(length: int) -> None:
    found = read(WHOLE[:length])
    if isinstance(found, LandbridgeError):
        assert length < len(WHOLE) // 2
        return
    held = found.messages[STEPS]
    assert list(held) == SENT[: len(held)]
    assert found.damage or len(held) == len(SENT)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
@settings(max_examples=30, deadline=None)
def test_of_a_file_that_is_damaged_nothing_wrong_is_read(at: int, change: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= change
    found = read(bytes(damaged))
    if isinstance(found, Recording):
        held = found.messages.get(STEPS, ())
        assert [m.data for m in held] == [m.data for m in SENT[: len(held)]]


def read(data: bytes) -> Recording | LandbridgeError:
    path = Path(f"/proc/self/fd/{os.memfd_create('recording')}")
    try:
        path.write_bytes(data)
        return read_recording(path)
    except LandbridgeError as error:
        return error
    finally:
        os.close(int(path.name))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not an MCAP file"),
        (b"PK\3\4 a zip, perhaps", "not an MCAP file"),
        (recording.to_bytes([], ABOUT), "holds no message that is whole"),
        (recording.to_bytes([message(1.0)], {}), "not a recording by Landbridge"),
    ],
)
def test_what_is_no_recording_is_one_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "log.mcap"
    path.write_bytes(data)
    with pytest.raises(LandbridgeError, match=sentence):
        read_recording(path)
    with pytest.raises(LandbridgeError, match="cannot be read: No such file"):
        read_recording(tmp_path / "other.mcap")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    for parse in (cdr.read_sections, cdr.read_diagnostics):
        for raw in (data, b"\0\1\0\0" + data):
            try:
                parse(raw)
            except cdr.CdrError:
                continue


def test_every_figure_of_a_turn_comes_back_exactly() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    reading = robot.supervisor.reading
    assert reading is not None
    data = ticks.encode(ticks.sections(12), 1.5, 1.6, Mode.READY, robot.decision, reading, 7)
    tick = ticks.decode(cdr.read_sections(data))
    assert (tick.time, tick.before, tick.mode, tick.lost) == (1.5, Mode.READY, Mode.ACTIVE, 7)
    again = tick.reading(reading.limits)
    for name in reading.__slots__:
        if name != "stop_reason" and not name.startswith("_"):  # what it keeps of its own figures
            assert np.array_equal(getattr(again, name), getattr(reading, name)), name
    assert (tick.command["kp"] == robot.decision.command.kp).all()


def test_what_a_robot_does_not_report_comes_back_as_not_reported() -> None:
    robot = SupervisedRobot(reports=False).bring_to(Mode.ACTIVE)
    reading = robot.supervisor.reading
    assert reading is not None
    layout = ticks.sections(12)
    data = ticks.encode(layout, 1.5, 1.6, Mode.READY, robot.decision, reading, 7)
    again = ticks.decode(cdr.read_sections(data)).reading(reading.limits)
    assert again.temperature is again.battery is again.foot_force is again.command is None
    robot.command = np.array([0.1, 0.2, 0.3])
    robot.step()
    reading = robot.supervisor.reading
    assert reading is not None
    reading = dataclasses.replace(reading, command=np.array([0.1, np.nan, 0.3]), battery=0.5)
    data = ticks.encode(layout, 1.5, 1.6, Mode.READY, robot.decision, reading, 7)
    again = ticks.decode(cdr.read_sections(data)).reading(reading.limits)
    assert np.array_equal(again.command, reading.command, equal_nan=True)
    assert again.battery == 0.5


def test_a_turn_that_was_recorded_before_a_row_was_made_is_still_read() -> None:
    robot = SupervisedRobot().bring_to(Mode.ACTIVE)
    reading = robot.supervisor.reading
    assert reading is not None
    data = ticks.encode(ticks.sections(12), 1.5, 1.6, Mode.READY, robot.decision, reading, 7)
    parts = cdr.read_sections(data)
    for name in ("gyro", "temperature", "battery", "foot_force", "holds"):
        del parts[f"reading/{name}"]
    again = ticks.decode(parts).reading(reading.limits)
    assert (again.gyro, again.temperature, again.battery, again.holds) == (None, None, None, 0)
    del parts["reading/state_age"]
    with pytest.raises(cdr.CdrError, match="not a tick"):
        ticks.decode(parts)


def is_whole(path: Path) -> bool:
    try:
        return read_recording(path).damage == ""
    except LandbridgeError:
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
