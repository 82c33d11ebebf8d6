"""A bundle that is small enough to be read thousands of times: the shipped one with a tiny network."""

import dataclasses
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from contract import robots
from contract.bundle import read_bundle, read_files, write_bundle
from contract.golden import Golden
from contract.policy_contract import Contract
from contract.robot import Robot
from contract.signals import Signal
from policies import bundles

_SHIPPED = "go2-velocity-flat"
_STEPS, _ROBOTS = 3, 2
_SCALE = np.float32(0.25)  # rad
_LAST = "last_action"


def small_bundle(path: Path) -> tuple[dict[str, bytes], Robot]:
    """Files of a bundle that is written to `path`, and the robot that it is for."""
    shipped = read_bundle(bundles.path(_SHIPPED)).contract
    names = shipped.joint_names
    contract = dataclasses.replace(shipped, memory=(Signal(_LAST, (len(names),), "1", "joint", elements=names),))
    size = sum(signal.shape[0] for signal in contract.graph_inputs)
    weight = np.random.default_rng(0).normal(0.0, 0.1, (size, len(names))).astype(np.float32)
    pose = np.asarray(contract.default_joint_pos, np.float32)
    write_bundle(path, contract, _graph(contract, weight, pose), _traces(contract, weight, pose), "# Small\n", {})
    return read_files(path), robots.load(contract.robot)


def _graph(contract: Contract, weight: np.ndarray, pose: np.ndarray) -> bytes:
    inputs = {signal.name: signal.shape for signal in contract.graph_inputs}
    nodes = [
        helper.make_node("Concat", list(inputs), ["features"], axis=1),
        helper.make_node("MatMul", ["features", "weight"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], [f"next_{_LAST}"]),
        helper.make_node("Mul", [f"next_{_LAST}", "scale"], ["offset"]),
        helper.make_node("Add", ["offset", "pose"], ["joint_target"]),
    ]
    constants = {"weight": weight, "scale": _SCALE, "pose": pose}
    values = (inputs, contract.graph_outputs)
    infos = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s]) for n, s in v.items()] for v in values]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", *infos, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    data: bytes = model.SerializeToString()
    return data


def _traces(contract: Contract, weight: np.ndarray, pose: np.ndarray) -> Golden:
    generator = np.random.default_rng(1)
    inputs = {s.name: generator.normal(size=(_STEPS, _ROBOTS, *s.shape)).astype(np.float32) for s in contract.inputs}
    last = np.zeros((_ROBOTS, len(pose)), np.float32)
    outputs: dict[str, list[np.ndarray]] = {"joint_target": [], f"next_{_LAST}": []}
    for t in range(_STEPS):
        last = np.tanh(np.concatenate([*(trace[t] for trace in inputs.values()), last], axis=1) @ weight)
        outputs["joint_target"].append(pose + _SCALE * last)
        outputs[f"next_{_LAST}"].append(last)
    return Golden(inputs, {name: np.stack(values) for name, values in outputs.items()})
