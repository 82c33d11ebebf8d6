"""One rt/lowstate and one rt/lowcmd of a powered Unitree Go2 that stands, as `ros2 topic echo` printed them.

From a third party's public notes on the robot's topics. The CRCs are the robot's own, so the numbers vouch for
themselves. The command is that of the robot's motion service.
"""

import numpy as np

from deploy_robot.drivers import unitree_go2_messages as messages
from deploy_robot.drivers.unitree_go2_messages import Message

STATE_CRC, COMMAND_CRC = 2726957031, 4194941488
RPY = (-0.023779526352882385, 0.0029061988461762667, 0.637539267539978)
QUATERNION = (-0.9495482444763184, 0.011745867319405079, 0.002346344757825136, -0.3133923411369324)

# q, dq, tau_est, temperature, lost of each motor
_MOTORS = (
    (0.04810357093811035, 0.015502095222473145, -1.1626992225646973, 35, 5),
    (0.785413384437561, -0.01937761902809143, -1.5090352296829224, 37, 8),
    (-1.5252063274383545, 0.034374210983514786, 5.83204984664917, 45, 9),
    (0.037339627742767334, 0.0, 0.07421484589576721, 33, 10),
    (0.8318289518356323, 0.034879714250564575, -1.7069414854049683, 36, 6),
    (-1.5557416677474976, -0.024264149367809296, 4.646674156188965, 42, 7),
    (0.08582428097724915, 0.03100419044494629, 1.9295859336853027, 58, 12),
    (0.6889886856079102, 0.04263076186180115, 3.982863426208496, 64, 6),
    (-1.5667839050292969, 0.024264149367809296, 9.435592651367188, 72, 5),
    (-0.015762031078338623, -0.03875523805618286, -1.1626992225646973, 54, 5),
    (0.585969865322113, 0.04263076186180115, 4.626058578491211, 61, 5),
    (-1.5222996473312378, -0.0040440247394144535, 9.957158088684082, 78, 5),
)
_TARGETS = (
    *(0.023129865527153015, 0.7480632662773132, -1.3831151723861694),
    *(0.040774405002593994, 0.7935237884521484, -1.4443994760513306),
    *(0.12983304262161255, 0.7800335884094238, -1.3389172554016113),
    *(-0.04581166058778763, 0.6999298930168152, -1.288281798362732),
)


def state() -> Message:
    """The recorded rt/lowstate."""
    message = np.zeros(1, messages.LOW_STATE)[0]
    message["head"] = 254, 239
    imu = message["imu_state"]
    imu["quaternion"], imu["rpy"] = QUATERNION, RPY
    imu["gyroscope"] = -0.008522114716470242, 0.0074568502604961395, 0.009587379172444344
    imu["accelerometer"] = -0.181959331035614, -0.37229835987091064, 9.549273490905762
    imu["temperature"] = 79
    motors = message["motor_state"][:12]
    for field, values in zip(("q", "dq", "tau_est", "temperature", "lost"), zip(*_MOTORS, strict=True), strict=True):
        motors[field] = values
    motors["mode"], motors["reserve"] = 1, (0, 525)
    battery = message["bms_state"]
    battery["version_high"], battery["version_low"], battery["status"], battery["soc"] = 1, 16, 8, 63
    battery["current"], battery["cycle"], battery["bq_ntc"], battery["mcu_ntc"] = -3630, 17, (31, 30), 32
    battery["cell_vol"][:8] = 3825, 3836, 3837, 3837, 3836, 3837, 3836, 3824
    message["foot_force"] = 16, 29, 33, 13
    message["tick"], message["bit_flag"], message["adc_reel"] = 5129489, 36, 0.008056640625
    message["temperature_ntc1"], message["temperature_ntc2"] = 45, 41
    message["power_v"], message["power_a"] = 29.54396629333496, 2.5294501781463623
    message["crc"] = STATE_CRC
    return message


def command() -> Message:
    """The recorded rt/lowcmd."""
    message = np.zeros(1, messages.LOW_CMD)[0]
    message["head"], message["level_flag"] = (254, 239), 255
    motors = message["motor_cmd"]
    motors["mode"] = 1
    motors["q"][:12], motors["kp"][:12], motors["kd"][:12] = _TARGETS, 40.0, 1.0
    message["crc"] = COMMAND_CRC
    return message
