"""UDP ports for tests that talk to an emulated robot."""

import socket

HOST = "127.0.0.1"


def free_pair() -> int:
    """A port that was free a moment ago, and the next one too."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.bind((HOST, 0))
            port: int = first.getsockname()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
                try:
                    second.bind((HOST, port + 1))
                except OSError:
                    continue
                return port
