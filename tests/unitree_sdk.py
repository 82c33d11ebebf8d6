"""Runs `unitree_sdk_client.py`, Unitree's own SDK, beside a test."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

PYTHONS = (sys.executable, *filter(None, os.environ.get("LANDBRIDGE_UNITREE_PYTHON", "").split(os.pathsep)))
"""Interpreters with the SDK; one with Cyclone DDS 0.10, as robots have it, must be given: wheels end at Python 3.10."""

_CLIENT = Path(__file__).with_name("unitree_sdk_client.py")


class SdkClient:
    """Inside its `with` block the client takes part in a DDS domain on loopback."""

    def __init__(self, python: str, what: str, domain: int, *arguments: Any) -> None:
        argv = [python, str(_CLIENT), what, str(domain), *map(json.dumps, arguments)]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def end(self) -> Any:
        """What it saw, once it has ended; closes its stdin."""
        printed, _ = self._process.communicate(timeout=120)
        return json.loads(printed)
