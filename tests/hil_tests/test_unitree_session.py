"""The shipped policy on an emulated Go2 over the robot's own bus, as `landbridge run` does it."""

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("cyclonedds", reason="Cyclone DDS is not installed")
pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from landbridge.cli import main

BUNDLE = "go2-velocity-flat"


@pytest.mark.real_time  # needs the processor to keep real time
def test_the_shipped_policy_walks_over_unitrees_bus(tmp_path: Path) -> None:
    main(["run", BUNDLE, "--protocol", "unitree", "--seconds", "6", "--seed", "3", "--out", str(tmp_path)])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["driver"] == "unitree_go2"
    assert not summary["problem"]
    # Other tests keep the machine busy: a late target may hold the robot for a moment. Nothing may damp or stop it.
    assert not [trip for trip in summary["trips"] if trip["reaction"] in ("damp", "stop")]
    assert summary["motion"]["falls"] == 0
    assert summary["motion"]["tracking_error"] < 0.25
    assert summary["motion"]["distance"] > 1.5


def test_a_real_robot_is_not_moved_unless_somebody_confirms_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", BUNDLE, "--robot", "unitree_go2", "--out", str(tmp_path)]
    assert main([*run, "--address", "lo"]) == 2
    assert re.search("moves a real robot: .* --confirm-hardware", capsys.readouterr().err)
    assert main([*run, "--confirm-hardware", "--address", "nowhere0"]) == 2
    assert "address 'nowhere0': must be the network interface" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
