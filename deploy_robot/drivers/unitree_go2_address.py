"""Where a Unitree Go2's DDS network is: the network interface to it, and the DDS domain."""

import re
import socket
from dataclasses import dataclass

from contract.errors import UsageError

_LAST_DOMAIN = 232  # whose UDP ports exist (DDSI-RTPS 2.5, section 9.6.2)
_FORM = re.compile(r"(?P<interface>[^:]+)(:(?P<domain>[0-9]{1,3}))?", re.ASCII)


@dataclass(frozen=True)
class Address:
    """A robot is in domain 0; emulated ones share a loopback, so each has its own."""

    interface: str
    domain: int = 0

    def __str__(self) -> str:
        """As in a message."""
        return f"network interface {self.interface}, DDS domain {self.domain}"


def parse_address(text: str) -> Address:
    """An address written as INTERFACE or INTERFACE:DOMAIN.

    Raises:
        UsageError: it is neither, or this computer has no such interface.
    """
    match = _FORM.fullmatch(text)
    interfaces = [name for _, name in socket.if_nameindex()]
    if match is None or match["interface"] not in interfaces:
        raise UsageError(
            f"address {text!r}: must be the network interface to the robot, as in eth0, or INTERFACE:DOMAIN;"
            f" this computer has {', '.join(interfaces)}"
        )
    domain = int(match["domain"] or 0)
    if domain > _LAST_DOMAIN:
        raise UsageError(f"address {text!r}: the last DDS domain is {_LAST_DOMAIN}")
    return Address(match["interface"], domain)
