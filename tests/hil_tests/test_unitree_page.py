"""What docs/unitree_go2.md tells people to type, on an emulated Go2."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cyclonedds", reason="Cyclone DDS is not installed")

from deploy_robot.ros_environment import claimed_domain
from hil_tests.robot_process import READY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "unitree_go2.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.real_time  # needs the processor to keep real time
def test_the_damping_program_shows_each_joint_by_name() -> None:
    (program,) = (text for text in PROGRAMS if "UnitreeGo2Driver" in text)
    with claimed_domain() as domain:
        program = program.replace('"eth0"', f'"lo:{domain}"').replace("60.0", "1.0")
        argv = [sys.executable, "-m", "hil_tests.emulated_robot", "--protocol", "unitree", "--address", f"lo:{domain}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as robot:
            assert robot.stdout is not None
            assert robot.stdout.readline().startswith(READY)
            run = subprocess.run(
                [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=120, cwd=ROOT
            )
            robot.terminate()
            robot.communicate()
    assert run.returncode == 0, run.stderr
    assert re.search(r"RR_calf_joint +-2\.\d{3} rad", run.stdout)
    assert "battery 0.87" in run.stdout
    assert "0 states were damaged" in run.stdout


def test_the_program_that_releases_the_motion_service_uses_what_the_sdk_has() -> None:
    pytest.importorskip("unitree_sdk2py", reason="Unitree's SDK is not installed")
    (program,) = (text for text in PROGRAMS if "MotionSwitcherClient" in text)
    imports, _, rest = program.partition("\nChannelFactoryInitialize(")
    names: dict[str, object] = {}
    exec(imports, names)
    for call in re.findall(r"(?:sport|switcher|client)\.(\w+)\(", rest):
        assert hasattr(names["MotionSwitcherClient"], call) or hasattr(names["SportClient"], call), call
