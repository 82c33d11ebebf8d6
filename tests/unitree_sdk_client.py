"""Unitree's own Python SDK at the other end of the bus, as a program of its own that knows nothing of Landbridge.

    python unitree_sdk_client.py drive DOMAIN TARGETS   command a robot; TARGETS is a JSON list of 12 angles
    python unitree_sdk_client.py robot DOMAIN           play a robot: send states, take commands

Prints `ready`, and at the end a JSON object with what it saw. `drive` ends when the robot has stayed near TARGETS for a
while, `robot` when stdin is closed. Runs with any Python and Cyclone DDS that the SDK runs with.
"""

import json
import os
import select
import sys
import time

import cyclonedds.idl.types as types

# The SDK is written for Cyclone DDS 0.10, which announces uint8 as the octet that robots know. With the 8-bit integers
# of version 11 it would match neither a robot's types nor ours.
uint8, types.uint8 = types.uint8, getattr(types, "byte", types.uint8)

from unitree_sdk2py.core import channel
from unitree_sdk2py.idl.default import unitree_go_msg_dds__LowCmd_, unitree_go_msg_dds__LowState_
from unitree_sdk2py.idl.unitree_go.msg.dds_ import LowCmd_, LowState_
from unitree_sdk2py.utils.crc import CRC

types.uint8 = uint8

POS_STOP, VEL_STOP = 2.146e9, 16000.0
KP, KD = 60.0, 2.0
PERIOD = 0.005  # s
NEAR, STAY, PATIENCE = 0.2, 1.0, 90.0  # rad, s, s


def drive(targets):
    """Ramp the joints from where they are to `targets` within a second, and hold them until they are there."""
    states, ticks, sound, start, arrived, crc = [], [], 0, None, None, CRC()
    subscriber = channel.ChannelSubscriber("rt/lowstate", LowState_)
    subscriber.Init(states.append, 10)
    publisher = channel.ChannelPublisher("rt/lowcmd", LowCmd_)
    publisher.Init()
    command = unitree_go_msg_dds__LowCmd_()
    command.head, command.level_flag = [0xFE, 0xEF], 0xFF
    for motor in command.motor_cmd:
        motor.mode, motor.q, motor.dq = 1, POS_STOP, VEL_STOP
    print("ready", flush=True)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(PERIOD)
        if not states:
            continue
        newest = states[-1]
        angles = [motor.q for motor in newest.motor_state[: len(targets)]]
        if start is None:
            start, since = angles, time.monotonic()
        if max(abs(angle - target) for angle, target in zip(angles, targets, strict=False)) > NEAR:
            arrived = None
        elif arrived is None:
            arrived = time.monotonic()
        elif time.monotonic() - arrived > STAY:
            break
        ticks.append(newest.tick)
        sound += crc.Crc(newest) == newest.crc
        share = min(time.monotonic() - since, 1.0)
        for slot, target in enumerate(targets):
            motor = command.motor_cmd[slot]
            motor.q, motor.dq, motor.kp, motor.kd = start[slot] + share * (target - start[slot]), 0.0, KP, KD
        command.crc = crc.Crc(command)
        publisher.Write(command)
    return {
        "ticks": ticks,
        "sound": sound,
        "start": start,
        "end": angles,
        "modes": [motor.mode for motor in newest.motor_state],
        "rpy": list(newest.imu_state.rpy),
        "accelerometer": list(newest.imu_state.accelerometer),
    }


def robot():
    """Send states whose numbers say which they are, and take commands."""
    commands, crc = [], CRC()
    subscriber = channel.ChannelSubscriber("rt/lowcmd", LowCmd_)
    subscriber.Init(commands.append, 10)
    publisher = channel.ChannelPublisher("rt/lowstate", LowState_)
    publisher.Init()
    state = unitree_go_msg_dds__LowState_()
    state.head = [0xFE, 0xEF]
    state.imu_state.quaternion = [0.5, 0.5, -0.5, 0.5]
    state.imu_state.gyroscope, state.imu_state.accelerometer = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
    state.bms_state.soc = 42
    for slot, motor in enumerate(state.motor_state):
        motor.mode, motor.q, motor.dq, motor.tau_est, motor.temperature = 1, slot, 100 + slot, 200 + slot, 30 + slot
    print("ready", flush=True)
    while stdin_is_open():
        state.tick += 2
        state.crc = crc.Crc(state)
        publisher.Write(state)
        time.sleep(PERIOD)
    last = commands[-1]
    return {
        "received": len(commands),
        "sound": sum(crc.Crc(command) == command.crc for command in commands),
        "head": list(last.head),
        "level_flag": last.level_flag,
        "motors": [[m.mode, m.q, m.dq, m.tau, m.kp, m.kd] for m in last.motor_cmd],
    }


def stdin_is_open():
    return not select.select([sys.stdin], [], [], 0.0)[0]


def main():
    what, domain = sys.argv[1], int(sys.argv[2])
    channel.ChannelConfigHasInterface = channel.ChannelConfigHasInterface.replace("/tmp/cdds.LOG", os.devnull)
    channel.ChannelFactoryInitialize(domain, "lo")
    result = drive(json.loads(sys.argv[3])) if what == "drive" else robot()
    print(json.dumps(result), flush=True)
    os._exit(0)  # the SDK's own threads would not end


if __name__ == "__main__":
    main()
