"""Declares a node's parameters from a frozen dataclass: name, type, default and description in one place."""

from dataclasses import field, fields
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from contract.errors import UsageError

Values = TypeVar("Values")


def parameter(
    default: str | float | int,
    description: str,
    lower: float | None = None,
    upper: float | None = None,
    read_only: bool = True,
) -> Any:
    """A dataclass field that becomes a ROS parameter, between `lower` and `upper` where given."""
    return field(
        default=default, metadata={"description": description, "range": (lower, upper), "read_only": read_only}
    )


def declare(node: Node, schema: type[Values]) -> Values:
    """Declare every field of `schema` on `node` and give their values.

    Raises:
        UsageError: a given value has the wrong type or is out of range.
    """
    values = {}
    for item in fields(schema):  # type: ignore[arg-type]  # any dataclass
        name, (lower, upper) = item.name, item.metadata["range"]
        descriptor = ParameterDescriptor(description=item.metadata["description"], read_only=item.metadata["read_only"])
        if lower is not None and isinstance(item.default, int):
            descriptor.integer_range = [IntegerRange(from_value=lower, to_value=upper)]
        elif lower is not None:
            descriptor.floating_point_range = [FloatingPointRange(from_value=lower, to_value=upper)]
        try:
            values[name] = node.declare_parameter(name, item.default, descriptor).value
        except (InvalidParameterTypeException, InvalidParameterValueException) as error:
            raise UsageError(f"parameter {name} of {node.get_name()}: {error}") from None
    return schema(**values)
