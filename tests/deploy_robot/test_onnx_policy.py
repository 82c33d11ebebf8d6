"""The runtime of exported graphs: it runs what the contract says, and refuses everything else by name."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import toy_policy
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from toy_policy import ToyParameters

from contract.bundle import Bundle, parse_bundle, read_bundle, read_files, write_bundle, zip_bundle
from contract.errors import BundleError, UsageError
from deploy_robot import graph_scan
from deploy_robot.onnx_policy import OnnxPolicy, load_policy


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return read_bundle(toy_policy.write(tmp_path_factory.mktemp("bundle") / "toy"))


def with_graph(bundle: Bundle, model: onnx.ModelProto | bytes) -> Bundle:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return dataclasses.replace(bundle, files={**bundle.files, "policy.onnx": data})


def signals(bundle: Bundle, t: int, rows: slice = slice(None)) -> dict[str, np.ndarray]:
    return {name: trace[t, rows] for name, trace in bundle.golden.inputs.items()}


def test_steps_give_the_recorded_targets(bundle: Bundle) -> None:
    policy = OnnxPolicy(bundle, batch=3)
    for t in range(bundle.golden.steps):
        target = policy.step(signals(bundle, t))
        assert target.dtype == np.float64
        assert target.shape == (3, 2)
        np.testing.assert_allclose(target, bundle.golden.outputs["joint_target"][t], rtol=0, atol=1e-5)


def test_earlier_results_do_not_change(bundle: Bundle) -> None:
    policy = OnnxPolicy(bundle, batch=3)
    first = policy.step(signals(bundle, 0))
    kept = first.copy()
    policy.step(signals(bundle, 1))
    np.testing.assert_array_equal(first, kept)


def test_result_is_not_the_memory(bundle: Bundle) -> None:
    policy, other = OnnxPolicy(bundle, batch=3), OnnxPolicy(bundle, batch=3)
    for t in range(3):
        target = policy.step(signals(bundle, t))
        np.testing.assert_array_equal(target, other.step(signals(bundle, t)))
        target[:] = 99.0


@pytest.mark.parametrize("ids", [[1], np.array([False, True, False]), np.array([1])])
def test_reset_forgets_the_rows_and_no_others(bundle: Bundle, ids: object) -> None:
    policy, fresh = OnnxPolicy(bundle, batch=3), OnnxPolicy(bundle, batch=3)
    for t in range(4):
        policy.step(signals(bundle, t))
    policy.reset(ids)
    for t in range(4):
        got, new = policy.step(signals(bundle, t + 4)), fresh.step(signals(bundle, t + 4))
        np.testing.assert_array_equal(got[1], new[1])
        recorded = bundle.golden.outputs["joint_target"][t + 4]
        np.testing.assert_allclose(got[[0, 2]], recorded[[0, 2]], rtol=0, atol=1e-5)


def test_reset_of_all_starts_again(bundle: Bundle) -> None:
    policy = OnnxPolicy(bundle, batch=3)
    first = policy.step(signals(bundle, 0))
    policy.step(signals(bundle, 1))
    assert not np.array_equal(policy.step(signals(bundle, 0)), first)
    policy.reset()
    np.testing.assert_array_equal(policy.step(signals(bundle, 0)), first)


def test_replay_leaves_the_memory_alone(bundle: Bundle) -> None:
    policy, other = OnnxPolicy(bundle, batch=3), OnnxPolicy(bundle, batch=3)
    for p in (policy, other):
        p.step(signals(bundle, 0))
    assert 0.0 <= policy.replay_golden() <= 1e-5
    np.testing.assert_array_equal(policy.step(signals(bundle, 1)), other.step(signals(bundle, 1)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_one_broken_sample_does_not_stay_in_memory(bundle: Bundle, bad: float) -> None:
    policy, spared = OnnxPolicy(bundle, batch=3), OnnxPolicy(bundle, batch=3)
    for p in (policy, spared):
        p.step(signals(bundle, 0))
    broken = {name: trace.astype(np.float64) for name, trace in signals(bundle, 1).items()}
    broken["gyro"][1, 2] = bad
    with np.errstate(over="ignore"):
        target = policy.step(broken)
    healthy = [0, 2]
    np.testing.assert_allclose(target[healthy], bundle.golden.outputs["joint_target"][1][healthy], rtol=0, atol=1e-5)
    if np.isnan(bad):
        assert not np.isfinite(target[1]).all()
    spared.step(signals(bundle, 1))
    after, expected = policy.step(signals(bundle, 2)), spared.step(signals(bundle, 2))
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(after[healthy], expected[healthy])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gyro": None}, "signal gyro: missing: the policy reads gyro, joint_pos, command"),
        ({"accel": np.zeros((3, 3))}, "signal accel: unknown: the policy reads gyro, joint_pos, command"),
        ({"gyro": np.zeros((3, 4))}, r"signal gyro: must have shape \[3, 3\], got \[3, 4\]"),
        ({"joint_pos": np.zeros(2)}, r"signal joint_pos: must have shape \[3, 2\], got \[2\]"),
        ({"command": np.zeros((1, 1))}, r"signal command: must have shape \[3, 1\], got \[1, 1\]"),
        ({"last_action": np.zeros((3, 2))}, "signal last_action: unknown"),
    ],
)
def test_wrong_signal_is_named(bundle: Bundle, change: dict[str, np.ndarray | None], message: str) -> None:
    given = {name: value for name, value in {**signals(bundle, 0), **change}.items() if value is not None}
    with pytest.raises(UsageError, match=f"^{message}"):
        OnnxPolicy(bundle, batch=3).step(given)


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        (ToyParameters(joint_order=(1, 0)), "step 0 (0 s) in joint_target, joint "),
        (ToyParameters(gyro_scale=0.2), "step 0 (0 s) in joint_target, joint "),
        (ToyParameters(mean=0.0), "step 0 (0 s) in joint_target, joint "),
        (ToyParameters(std=1.0), "step 0 (0 s) in joint_target, joint "),
        (ToyParameters(offset=(0.0, 0.0)), "step 0 (0 s) in joint_target, joint "),
        (ToyParameters(newest_first=True), "step 0 (0 s) in next_history, element [0, "),
        (ToyParameters(gyro_scale=0.250001), "joint_target, joint "),
    ],
)
def test_wrong_graph_parts_from_the_traces(bundle: Bundle, parameters: ToyParameters, where: str) -> None:
    policy = OnnxPolicy(with_graph(bundle, toy_policy.graph(parameters)))
    with pytest.raises(BundleError) as caught:
        policy.replay_golden(atol=1e-7 if parameters.gyro_scale == 0.250001 else 1e-5)
    message = str(caught.value)
    assert message.startswith("policy.onnx: does not reproduce golden.npz: parts at step ")
    assert where in message
    assert "difference " in message


def test_history_that_only_the_next_step_shows(bundle: Bundle) -> None:
    """A graph that reports the right memory and reads it in the wrong order parts at the second step."""
    model = toy_policy.graph()
    reshape = next(node for node in model.graph.node if node.output[0] == "flat_history")
    reshape.input[0] = "swapped"
    swap = helper.make_node("Gather", ["history", "swap"], ["swapped"], axis=1)
    model.graph.node.insert(0, swap)
    model.graph.initializer.append(numpy_helper.from_array(np.int64([1, 0]), "swap"))
    with pytest.raises(BundleError, match=r"parts at step 1 \(0.02 s\) in joint_target, joint \w+_joint: recorded"):
        OnnxPolicy(with_graph(bundle, model)).replay_golden()


def test_nan_never_passes_the_replay(bundle: Bundle) -> None:
    model = toy_policy.graph()
    half = next(tensor for tensor in model.graph.initializer if tensor.name == "half")
    half.CopyFrom(numpy_helper.from_array(np.array(np.nan, np.float32), "half"))
    with pytest.raises(BundleError, match="here nan, difference nan"):
        OnnxPolicy(with_graph(bundle, model)).replay_golden()


def rename(model: onnx.ModelProto, old: str, new: str) -> onnx.ModelProto:
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
    for tensor in (*model.graph.input, *model.graph.output):
        if tensor.name == old:
            tensor.name = new
    return model


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gyro", "angular_velocity", "input 'gyro' is missing"),
        ("history", "past", "input 'history' is missing"),
        ("joint_target", "target", "output 'joint_target' is missing"),
        ("next_history", "history_out", "output 'next_history' is missing"),
    ],
)
def test_renamed_tensor_is_named(bundle: Bundle, old: str, new: str, message: str) -> None:
    model = rename(toy_policy.graph(), old, new)
    with pytest.raises(BundleError, match=f"^policy.onnx: {message}: the contract names it$"):
        OnnxPolicy(with_graph(bundle, model))


def test_surplus_tensors_are_named(bundle: Bundle) -> None:
    model = toy_policy.graph()
    model.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2]))
    with pytest.raises(BundleError, match="output 'logits' is not in the contract"):
        OnnxPolicy(with_graph(bundle, model))
    model = toy_policy.graph()
    model.graph.input.append(helper.make_tensor_value_info("friction", TensorProto.FLOAT, ["batch", 1]))
    with pytest.raises(BundleError, match="input 'friction' is not in the contract"):
        OnnxPolicy(with_graph(bundle, model))


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        (["batch", 4], TensorProto.FLOAT, "shape [4] behind the batch axis, the contract says [2]"),
        (["batch", "n"], TensorProto.FLOAT, "shape ['n'] behind the batch axis, the contract says [2]"),
        ([1, 2], TensorProto.FLOAT, "has no dynamic batch axis: its shape is [1, 2]"),
        (["batch", 2], TensorProto.DOUBLE, "must be float32, got tensor(double)"),
    ],
)
def test_wrong_tensor_type_is_named(bundle: Bundle, shape: list[int | str], kind: int, message: str) -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["joint_pos"], ["joint_target"], to=TensorProto.FLOAT)],
        "wrong",
        [helper.make_tensor_value_info("joint_pos", kind, shape)],
        [helper.make_tensor_value_info("joint_target", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    simple = dataclasses.replace(bundle.contract, inputs=bundle.contract.inputs[1:2], memory=())
    with pytest.raises(BundleError) as caught:
        OnnxPolicy(dataclasses.replace(with_graph(bundle, model), contract=simple))
    assert str(caught.value).startswith("policy.onnx: input 'joint_pos' ")
    assert str(caught.value).endswith(message)


def test_weights_in_other_files_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    model = toy_policy.graph()
    onnx.save(model, tmp_path / "policy.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(BundleError, match="keeps weights in other files"):
        OnnxPolicy(with_graph(bundle, (tmp_path / "policy.onnx").read_bytes()))


def external(name: str) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def hidden_external() -> list[onnx.ModelProto]:
    """Models that reach outside from every place that can hold a tensor."""
    models = [toy_policy.graph() for _ in range(5)]
    models[0].graph.node.append(helper.make_node("Constant", [], ["c"], value=external("c")))
    models[1].graph.sparse_initializer.add().values.CopyFrom(external("c"))
    inner = helper.make_graph([], "inner", [], [], [external("c")])
    models[2].graph.node.append(helper.make_node("If", ["one"], ["c"], then_branch=inner, else_branch=inner))
    attribute = models[3].graph.node.add(op_type="Constant").attribute.add(name="v")
    attribute.tensors.append(external("c"))
    attribute = models[4].graph.node.add(op_type="Constant").attribute.add(name="v")
    attribute.sparse_tensors.add().indices.CopyFrom(external("c"))
    return models


@pytest.mark.parametrize("model", hidden_external())
def test_hidden_reference_to_a_file_is_found(model: onnx.ModelProto) -> None:
    with pytest.raises(BundleError, match=r"^policy\.onnx: keeps (weights in other files|sparse weights)"):
        graph_scan.check(model.SerializeToString(), "policy.onnx")


def test_foreign_operators_are_refused(bundle: Bundle) -> None:
    for domain in ("com.microsoft", "my.library", "ai.onnx.contrib"):
        model = toy_policy.graph()
        inner = helper.make_graph([helper.make_node("Gelu", ["x"], ["y"], domain=domain)], "inner", [], [])
        model.graph.node.append(helper.make_node("If", ["one"], ["c"], then_branch=inner, else_branch=inner))
        with pytest.raises(BundleError, match=f"uses an operator of domain '{domain}'"):
            OnnxPolicy(with_graph(bundle, model))


def test_local_functions_and_training_graphs_are_refused(bundle: Bundle) -> None:
    model = toy_policy.graph()
    model.functions.add(name="Tanh", domain="")
    with pytest.raises(BundleError, match="carries local functions"):
        OnnxPolicy(with_graph(bundle, model))
    model = toy_policy.graph()
    model.training_info.add()
    with pytest.raises(BundleError, match="carries a training graph"):
        OnnxPolicy(with_graph(bundle, model))


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_noise_is_no_graph(bundle: Bundle, data: bytes) -> None:
    with pytest.raises(BundleError, match=r"^policy\.onnx: ") as caught:
        OnnxPolicy(with_graph(bundle, data))
    assert "\n" not in str(caught.value)


@given(st.data())
@settings(deadline=None)
def test_scan_of_damaged_graphs_ends_in_a_verdict(bundle: Bundle, data: st.DataObject) -> None:
    changed = bytearray(bundle.onnx)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(changed)))
    for candidate in (bytes(changed), bytes(changed[:cut])):
        try:
            graph_scan.check(candidate, "policy.onnx")
        except BundleError as error:
            assert str(error).startswith("policy.onnx: ")


def test_load_checks_everything(tmp_path: Path) -> None:
    path = toy_policy.write(tmp_path / "toy")
    assert load_policy(path, toy_policy.ROBOT, batch=2).batch == 2
    load_policy(zip_bundle(path), toy_policy.ROBOT)
    with pytest.raises(BundleError, match=r"^contract\.json: robot: unknown robot 'toy'"):
        load_policy(path)
    weak = dataclasses.replace(toy_policy.ROBOT.joints[1], effort_limit=5.0)
    robot = dataclasses.replace(toy_policy.ROBOT, joints=(toy_policy.ROBOT.joints[0], weak))
    with pytest.raises(BundleError, match=r"^contract\.json: effort_limit\[1\]: right_joint: 10.0 loosens"):
        load_policy(path, robot)
    toy_policy.write(path, ToyParameters(joint_order=(1, 0)))
    with pytest.raises(BundleError, match="does not reproduce"):
        load_policy(path, toy_policy.ROBOT)
    (path / "policy.onnx").write_bytes(toy_policy.graph().SerializeToString())
    with pytest.raises(BundleError, match=r"^policy\.onnx: changed since"):
        load_policy(path, toy_policy.ROBOT)


def test_contract_in_another_joint_order_is_caught(tmp_path: Path, bundle: Bundle) -> None:
    """Names, limits and gains swapped together pass the contract's own rules; the robot's order does not."""
    order = ("right_joint", "left_joint")
    swapped = {
        field.name: value[::-1]
        for field in dataclasses.fields(bundle.contract)
        if isinstance(value := getattr(bundle.contract, field.name), tuple)
        and len(value) == 2
        and isinstance(value[0], float)
    }
    outputs = (dataclasses.replace(bundle.contract.outputs[0], elements=order),)
    contract = dataclasses.replace(bundle.contract, joint_names=order, outputs=outputs, **swapped)
    path = write_bundle(tmp_path / "toy", contract, bundle.onnx, bundle.golden, bundle.card, {})
    parse_bundle(path, read_files(path))
    with pytest.raises(BundleError, match=r"^contract\.json: joint_names\[0\]: wrong order"):
        load_policy(path, toy_policy.ROBOT)
