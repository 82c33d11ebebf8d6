"""Driving by hand: letting go stops, whatever the device."""

import os
import pty
import struct
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import LandbridgeError, UsageError
from deploy_robot import teleop_devices
from deploy_robot.teleop import DEAD_MAN, EVENT, FIRST_HOLD, REPEAT_HOLD, STILL, Gamepad, Keyboard, Wishes

TOP = (0.5, 0.3, 0.8)
BUTTON, AXIS, INITIAL = 1, 2, 0x80


def event(kind: int, number: int, value: int) -> bytes:
    return EVENT.pack(0, value, kind, number)


def test_an_event_is_laid_out_as_linux_does() -> None:
    assert EVENT.size == 8
    assert EVENT.unpack(struct.pack("=IhBB", 1, -2, 3, 4)) == (1, -2, 3, 4)


@pytest.mark.parametrize(
    ("keys", "velocity"),
    [
        (b"w", (0.5, 0.0, 0.0)),
        (b"S", (-0.5, 0.0, 0.0)),
        (b"a", (0.0, 0.3, 0.0)),
        (b"d", (0.0, -0.3, 0.0)),
        (b"q", (0.0, 0.0, 0.8)),
        (b"e", (0.0, 0.0, -0.8)),
        (b"wq", (0.5, 0.0, 0.8)),
        (b"ws", STILL),
        (b"z\x1b[A\x1bOD\x1b[1;5D", STILL),
    ],
)
def test_keys_ask_for_velocities(keys: bytes, velocity: tuple[float, float, float]) -> None:
    keyboard = Keyboard(TOP)
    keyboard.take(keys, 1.0)
    assert keyboard.velocity(1.0) == pytest.approx(velocity)


def test_an_arrow_that_comes_in_pieces_is_no_request() -> None:
    keyboard = Keyboard(TOP)
    wishes = [keyboard.take(piece, 0.0) for piece in (b"\x1b", b"[1", b";5", b"D", b"5")]
    assert wishes == [Wishes()] * 4 + [Wishes(("reset",))]
    assert keyboard.velocity(0.0) == STILL


def test_a_key_that_is_let_go_stops_the_robot() -> None:
    keyboard = Keyboard(TOP)
    keyboard.take(b"w", 0.0)
    assert keyboard.velocity(FIRST_HOLD - 0.01) != STILL, "the terminal has not begun to repeat it"
    assert keyboard.velocity(FIRST_HOLD) == STILL
    now = 10.0
    keyboard.take(b"w", now)
    for _ in range(20):
        now += 0.04
        keyboard.take(b"w", now)
    assert keyboard.velocity(now + REPEAT_HOLD - 0.01) != STILL
    assert keyboard.velocity(now + REPEAT_HOLD) == STILL


def test_a_request_lets_all_keys_go_and_a_stop_comes_first() -> None:
    keyboard = Keyboard(TOP)
    assert keyboard.take(b"w2 ", 0.0) == Wishes(("estop",))
    assert keyboard.velocity(0.0) == STILL
    for key, request in {b"1": "stand", b"2": "arm", b"3": "pause", b"4": "sit", b"5": "reset"}.items():
        assert keyboard.take(key, 0.0) == Wishes((request,))
    assert [keyboard.take(key, 0.0).quit for key in (b"x", b"\x03", b"\x04", b"w")] == [True, True, True, False]


def test_sticks_count_only_while_the_button_is_held() -> None:
    pad = Gamepad(TOP)
    pad.take(event(AXIS, 1, -32767) + event(AXIS, 0, 32767) + event(AXIS, 3, -32768))
    assert pad.velocity() == STILL
    pad.take(event(BUTTON, DEAD_MAN, 1))
    assert pad.velocity() == pytest.approx((0.5, -0.3, 0.8))
    pad.take(event(BUTTON, DEAD_MAN, 0))
    assert pad.velocity() == STILL


def test_other_buttons_may_be_chosen() -> None:
    pad = Gamepad(TOP, dead_man=6, stop=7)
    full = event(AXIS, 1, -32767)
    pad.take(full + event(BUTTON, DEAD_MAN, 1))
    assert pad.velocity() == STILL
    assert pad.take(event(BUTTON, 6, 1) + event(BUTTON, 1, 1)) == Wishes()
    assert pad.velocity() == pytest.approx((0.5, 0.0, 0.0))
    assert pad.take(event(BUTTON, 7, 1)) == Wishes(("estop",))


def test_a_stick_at_rest_is_zero_and_what_the_device_says_at_first_is_no_stop() -> None:
    pad = Gamepad(TOP)
    assert pad.take(event(BUTTON | INITIAL, 1, 1) + event(AXIS | INITIAL, 1, 3000)) == Wishes()
    pad.take(event(BUTTON, DEAD_MAN, 1))
    assert pad.velocity() == STILL
    assert pad.take(event(BUTTON, 1, 1)) == Wishes(("estop",))
    assert pad.take(event(BUTTON, 1, 0)) == Wishes()


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_no_bytes_exceed_the_top_or_drive_without_the_button(pieces: list[bytes]) -> None:
    pad, keyboard = Gamepad(TOP), Keyboard(TOP)
    for piece in pieces:
        pad.take(piece)
        keyboard.take(piece, 0.0)
        for velocity in (pad.velocity(), keyboard.velocity(0.0)):
            assert all(abs(value) <= top for value, top in zip(velocity, TOP, strict=True))
    pad.take(bytes(-len(b"".join(pieces)) % EVENT.size) + event(BUTTON, DEAD_MAN, 0))
    assert pad.velocity() == STILL
    assert keyboard.velocity(FIRST_HOLD) == STILL


@given(st.integers(0, 40))
def test_events_may_be_cut_anywhere(cut: int) -> None:
    data = event(BUTTON, DEAD_MAN, 1) + event(AXIS, 1, -32767) + event(BUTTON, 1, 1)
    whole, parts = Gamepad(TOP), Gamepad(TOP)
    wanted = whole.take(data)
    first, second = parts.take(data[:cut]), parts.take(data[cut:])
    assert first.requests + second.requests == wanted.requests
    assert parts.velocity() == whole.velocity()


def test_a_terminal_is_raw_inside_and_as_before_outside() -> None:
    master, terminal = pty.openpty()
    try:
        before = termios.tcgetattr(terminal)
        with teleop_devices.keyboard(terminal, TOP) as hand:
            assert hand.poll(0.0) == (STILL, Wishes())
            os.write(master, b"w\x03")  # neither a line's end nor a signal
            velocity, wishes = poll_until(hand, lambda wishes: wishes.quit)
            assert velocity == (0.5, 0.0, 0.0)
            assert wishes.quit
        assert termios.tcgetattr(terminal) == before
        assert os.get_blocking(terminal)
        os.close(master)
        master = -1
        with pytest.raises((LandbridgeError, termios.error)), teleop_devices.keyboard(terminal, TOP) as hand:
            hand.poll(0.0)
    finally:
        os.close(terminal)
        if master >= 0:
            os.close(master)


def poll_until(hand: teleop_devices.Hand, condition: object) -> tuple[tuple[float, float, float], Wishes]:
    for _ in range(100_000):
        velocity, wishes = hand.poll(0.0)
        if condition(wishes):  # type: ignore[operator]
            return velocity, wishes
    raise AssertionError("the input did not arrive")


def test_what_is_no_terminal_is_one_sentence(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(UsageError, match="this is none"):
        teleop_devices.keyboard(file.fileno(), TOP).__enter__()


def test_a_joystick_device_is_read_and_its_loss_is_one_sentence(tmp_path: Path) -> None:
    device = tmp_path / "js0"
    os.mkfifo(device)
    with teleop_devices.gamepad(device, Gamepad(TOP)) as hand:
        writer = os.open(device, os.O_WRONLY)
        os.write(writer, event(BUTTON, DEAD_MAN, 1) + event(AXIS, 1, -32767))
        assert hand.poll(0.0)[0] == (0.5, 0.0, 0.0)
        assert hand.poll(0.0)[0] == (0.5, 0.0, 0.0), "a stick that is held sends nothing"
        os.close(writer)
        with pytest.raises(LandbridgeError, match="js0: lost"):
            hand.poll(0.0)
    with pytest.raises(LandbridgeError, match="js1: cannot be opened"):
        teleop_devices.gamepad(tmp_path / "js1", Gamepad(TOP)).__enter__()
