"""Graphs that somebody made to do more than arithmetic: none gets as far as onnxruntime's readers of files."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import toy_policy
from onnx import TensorProto, helper, numpy_helper

from benchmarks.fuzzing import protobuf
from benchmarks.fuzzing.protobuf import BYTES, VARINT, Field
from contract.bundle import Bundle, read_bundle
from contract.errors import BundleError
from deploy_robot import graph_scan, onnx_policy
from deploy_robot.graph_operators import PERMITTED
from deploy_robot.onnx_policy import OnnxPolicy

SCHEMA = {"model": {7: "graph"}, "graph": {5: "tensor"}, "tensor": {}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return read_bundle(toy_policy.write(tmp_path_factory.mktemp("bundle") / "toy"))


def with_graph(bundle: Bundle, graph: onnx.ModelProto | bytes) -> Bundle:
    data = graph if isinstance(graph, bytes) else graph.SerializeToString()
    return dataclasses.replace(bundle, files={**bundle.files, "policy.onnx": data})


def refusal(bundle: Bundle, graph: onnx.ModelProto | bytes) -> str:
    with pytest.raises(BundleError) as caught:
        OnnxPolicy(with_graph(bundle, graph)).replay_golden()
    message = str(caught.value)
    assert message.startswith("policy.onnx: ")
    assert message.isprintable()
    assert len(message) < 500
    return message


def appended(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    model = toy_policy.graph()
    model.graph.node.extend(nodes)
    return model


# -- what onnxruntime reads and the scan must not overlook ----------------------------------------------------------


def with_external_weight(excess: int, size: int) -> bytes:
    """A graph whose first tensor is in another file, said by a tag with `excess` beyond its number."""
    entry = [Field(1, BYTES, content=b"location"), Field(2, BYTES, content=b"weights.bin")]
    model = protobuf.decode(toy_policy.graph().SerializeToString(), SCHEMA, "model")
    (graph,) = (field.inner for field in model if field.number == 7)
    tensor = next(field.inner for field in graph or [] if field.number == 5)
    assert tensor is not None
    tensor[:] = [field for field in tensor if field.number != 9]  # raw_data
    location = Field(13, BYTES, content=protobuf.encode(entry), tag_excess=excess, tag_size=size)
    tensor += [location, Field(14, VARINT, value=TensorProto.EXTERNAL)]
    return protobuf.encode(model)


def test_a_disguised_tag_is_what_onnxruntime_takes_for_external_weights() -> None:
    """Protobuf's own reader drops what does not fit 32 bits of a tag: the attack is real."""
    with pytest.raises(Exception, match="xternal"):
        ort.InferenceSession(with_external_weight(2**32, 0), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(("excess", "size"), [(0, 0), (0, 3), (2**32, 0), (3 * 2**32, 0), (2**35, 0), (2**60, 0)])
def test_external_weights_are_found_whatever_their_tag(excess: int, size: int) -> None:
    message = r"^policy\.onnx: (keeps weights in other files|not an ONNX graph, or a damaged one)"
    with pytest.raises(BundleError, match=message):
        graph_scan.check(with_external_weight(excess, size), "policy.onnx")


@pytest.mark.parametrize(
    "field", [Field(3, 3), Field(3, 4), Field(3, 6), Field(3, 7), Field(0, VARINT), Field(0, BYTES)]
)
def test_what_readers_take_differently_is_damage(field: Field) -> None:
    data = toy_policy.graph().SerializeToString()
    for disguised in (field.encoded() + data, data + field.encoded()):
        with pytest.raises(BundleError, match="not an ONNX graph, or a damaged one"):
            graph_scan.check(disguised, "policy.onnx")


def ort_format(path: Path) -> bytes:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(toy_policy.graph().SerializeToString(), options, providers=["CPUExecutionProvider"])
    return path.read_bytes()


def test_a_file_of_onnxruntimes_own_format_is_not_read_past_the_scan(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first bytes can be made to look like protobuf to any scan, so the scan must not matter."""
    data = ort_format(tmp_path / "toy.ort")
    ort.InferenceSession(data, providers=["CPUExecutionProvider"])  # which reads it, unless it is told not to
    monkeypatch.setattr(graph_scan, "check", lambda data, file: None)
    assert "cannot load the graph" in refusal(bundle, data)


# -- operators and sizes --------------------------------------------------------------------------------------------


def test_permitted_operators_are_standard_ones() -> None:
    known = {schema.name.encode() for schema in onnx.defs.get_all_schemas_with_history() if schema.domain == ""}
    assert known >= PERMITTED


def test_the_documentation_lists_the_permitted_operators() -> None:
    page = (Path(__file__).parents[2] / "docs" / "trust.md").read_text()
    listed = page.partition("<!-- operators")[2].partition("-->")[2].partition("<!-- end of operators")[0]
    assert set(listed.encode().split()) == PERMITTED


@pytest.mark.parametrize(
    "operator",
    [
        "Loop", "Scan", "SequenceMap", "RandomNormal", "RandomUniformLike", "Bernoulli", "Multinomial", "ImageDecoder",
        "StringNormalizer", "RegexFullMatch", "TfIdfVectorizer", "Optional", "NotAnOperator", "tanh", "Tanh\0",
        "\x1b[2J",
    ],
)  # fmt: skip
def test_operator_that_no_policy_needs_is_refused(bundle: Bundle, operator: str) -> None:
    for domain in ("", "ai.onnx"):
        node = helper.make_node(operator, ["gyro"], ["x"], domain=domain)
        assert f"uses the operator {operator!a}, which a policy may not" in refusal(bundle, appended(node))


def test_an_endless_loop_is_refused(bundle: Bundle) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["again"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, [])],
    )
    assert "uses the operator 'Loop'" in refusal(
        bundle, appended(helper.make_node("Loop", ["", "true"], [], body=body))
    )


def test_an_operator_that_is_named_twice_is_judged_twice(bundle: Bundle) -> None:
    """Of a field that may be there once, protobuf takes the last."""
    node = helper.make_node("Tanh", ["gyro"], ["x"]).SerializeToString()
    model = protobuf.decode(toy_policy.graph().SerializeToString(), SCHEMA, "model")
    (graph,) = (field.inner for field in model if field.number == 7)
    assert graph is not None
    graph.append(Field(1, BYTES, content=node + Field(4, BYTES, content=b"Loop").encoded()))
    assert "uses the operator 'Loop'" in refusal(bundle, protobuf.encode(model))


def test_more_nodes_and_parts_than_a_policy_has_are_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = (helper.make_node("Identity", ["gyro"], [f"x{i}"]) for i in range(20_001))
    assert refusal(bundle, appended(*nodes)) == "policy.onnx: has more than 20000 nodes, as no policy has"
    monkeypatch.setattr(graph_scan, "_MAX_FIELDS", 1000)
    data = toy_policy.graph().SerializeToString()
    graph_scan.check(data, "policy.onnx")
    flood = data + Field(1, VARINT, value=9).encoded() * 1000
    assert refusal(bundle, flood) == "policy.onnx: has more than 1000 parts, as no policy has"


def with_last(*nodes: onnx.NodeProto, **constants: np.ndarray) -> onnx.ModelProto:
    """The toy's graph with more nodes at its end, which make `joint_target` from its own, `wanted_target`."""
    model = toy_policy.graph()
    for node in model.graph.node:
        node.output[:] = ["wanted_target" if name == "joint_target" else name for name in node.output]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return model


def test_more_memory_than_there_is_ends_in_a_sentence(bundle: Bundle) -> None:
    model = with_last(
        helper.make_node("ConstantOfShape", ["enormous"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["largest"], keepdims=0),
        helper.make_node("Add", ["wanted_target", "largest"], ["joint_target"]),
        enormous=np.array([2**50]),
    )
    assert "onnxruntime fails at step 0 of golden.npz" in refusal(bundle, model)


# -- what onnxruntime finds -----------------------------------------------------------------------------------------


def test_names_from_the_graph_do_not_drive_the_terminal(bundle: Bundle) -> None:
    node = helper.make_node("Tanh", ["gyro", "gyro"], ["x"], name="\x1b[2J\x1b[31mall is well\r")
    message = refusal(bundle, appended(node))
    assert "cannot load the graph" in message
    assert "?[2J" in message


def test_names_that_are_no_text_are_refused(bundle: Bundle, capfd: pytest.CaptureFixture[str]) -> None:
    data = toy_policy.graph().SerializeToString()
    assert "not UTF-8" in refusal(bundle, data.replace(b"command", b"comm\xffnd"))
    refusal(bundle, data.replace(b"scaled", b"scal\xffd", 1))
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_fails_when_it_runs_is_refused(bundle: Bundle) -> None:
    model = toy_policy.graph()
    order = next(tensor for tensor in model.graph.initializer if tensor.name == "order")
    order.CopyFrom(numpy_helper.from_array(np.int64([0, 99]), "order"))
    assert "onnxruntime fails at step 0 of golden.npz" in refusal(bundle, model)


def test_an_output_of_another_shape_than_it_declares_is_refused(bundle: Bundle) -> None:
    """One row would otherwise be compared with each of the recorded ones, and pass where these are alike."""
    model = with_last(helper.make_node("Slice", ["wanted_target", "zero", "one", "zero"], ["joint_target"]))
    message = refusal(bundle, model)
    assert "output 'joint_target' has shape [1, 2] at step 0 of golden.npz, where [3, 2] is recorded" in message


def test_a_graph_that_does_not_come_to_an_end_is_given_up(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    model = with_last(
        helper.make_node("ReduceMax", ["gyro"], ["m"], keepdims=0),  # nothing that could be computed in advance
        helper.make_node("Expand", ["m", "square"], ["m0"]),
        *(helper.make_node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(400)),
        helper.make_node("ReduceMin", ["m400"], ["least"], keepdims=0),
        helper.make_node("Add", ["wanted_target", "least"], ["joint_target"]),
        square=np.array([700, 700]),
    )
    monkeypatch.setattr(onnx_policy, "_MAX_REPLAY", 0.05)
    assert refusal(bundle, model) == "policy.onnx: golden.npz was not replayed within 0.05 s"
