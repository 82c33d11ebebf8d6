"""Randomisations as files: written, read back, complete in themselves, and refused by the field that is wrong."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import UsageError
from domain_rand import file
from domain_rand.distributions import Categorical, Constant, Empirical, LogUniform, TruncatedNormal, Uniform
from domain_rand.samples import read_samples
from domain_rand.spec import At, Every, How, Per, Provenance, Randomisation, Term, parse_terms

SPEC = Randomisation(
    (
        Term("friction", TruncatedNormal(0.8, 0.2, 0.3, 1.3), Per.ROBOT, At.START_UP, Provenance(How.MEASURED, "tilt")),
        Term("kp_factor", LogUniform(0.8, 1.25), Per.LEG),
        Term("payload_mass", Categorical((0.0, 1.5), (3.0, 1.0))),
        Term("base_force", Uniform(-10.0, 10.0), Per.COMPONENT, Every(Uniform(1.0, 3.0))),
        Term("gyro_bias", Constant(0.01), moment=At.STEP),
        Term("sensor_delay", Empirical((0.003, 0.004)), provenance=Provenance(How.IDENTIFIED, "log 7")),
    )
)


def _write(path, terms, **more):
    path.write_text(json.dumps({"schema_version": 1, "terms": terms, **more}))
    return path


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "spec.json"
    file.write(path, SPEC)
    assert file.read(path) == SPEC


moments = st.sampled_from(At) | st.floats(0.01, 9.0).map(lambda s: Every(Constant(s)))
provenances = st.builds(Provenance, st.sampled_from(How), st.text("abc .;", max_size=20))
terms = st.builds(Term, st.just("x"), st.just(Uniform(0.0, 1.0)), st.sampled_from(Per), moments, provenances)


@given(terms)
def test_every_term_survives_its_description(term):
    spec = Randomisation((term,))
    assert parse_terms(json.loads(json.dumps(spec.describe())), "terms") == spec


def test_what_may_be_left_out_has_its_default(tmp_path):
    path = _write(tmp_path / "short.json", {"friction": {"kind": "uniform", "low": 0.4, "high": 1.0}})
    assert file.read(path) == Randomisation((Term("friction", Uniform(0.4, 1.0)),))


def test_measured_values_are_taken_in(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "delays.csv").write_text("delay s\n0.004\n0.002, 0.003  # a slow one\n\n")
    described = {"sensor_delay": {"kind": "empirical", "file": "data/delays.csv"}}
    spec = file.read(_write(tmp_path / "spec.json", described))
    assert spec.terms[0].distribution == Empirical((0.002, 0.003, 0.004))
    # What was read is complete in itself: the other file may go.
    (tmp_path / "data" / "delays.csv").unlink()
    file.write(tmp_path / "whole.json", spec)
    assert file.read(tmp_path / "whole.json") == spec


def test_intervals_may_be_measured_too(tmp_path):
    np.save(tmp_path / "gaps.npy", np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
    term = {"kind": "constant", "value": 1.0, "moment": {"every": {"kind": "empirical", "file": "gaps.npy"}}}
    spec = file.read(_write(tmp_path / "spec.json", {"payload_mass": term}))
    assert spec.terms[0].moment == Every(Empirical((1.0, 2.0, 3.0, 4.0)))


UNIFORM = {"kind": "uniform", "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "terms: must be an object of parameters"),
        ({"friction": 3}, "terms.friction: must be an object, got 3"),
        ({"friction": {**UNIFORM, "per": "wheel"}}, "terms.friction.per: must be robot, leg or component, got 'wheel'"),
        ({"friction": {**UNIFORM, "moment": "often"}}, "terms.friction.moment: must be start_up, episode or step or"),
        ({"friction": {**UNIFORM, "moment": {"each": 1}}}, "terms.friction.moment: must have the one field every"),
        (
            {"friction": {**UNIFORM, "moment": {"every": {"kind": "constant", "value": 0.0}}}},
            "terms.friction.moment: intervals must be at least 1 ms long, the shortest is 0 s",
        ),
        (
            {"friction": {**UNIFORM, "moment": {"every": {"kind": "constant"}}}},
            "terms.friction.moment.every.value: missing",
        ),
        ({"friction": {**UNIFORM, "provenance": "me"}}, "terms.friction.provenance: must be an object"),
        ({"friction": {**UNIFORM, "provenance": {"who": "me"}}}, "terms.friction.provenance.who: unknown field"),
        (
            {"friction": {**UNIFORM, "provenance": {"how": "dreamt"}}},
            "terms.friction.provenance.how: must be guessed, measured or identified, got 'dreamt'",
        ),
        (
            {"delay": {"kind": "empirical", "file": "none.csv"}},
            "none.csv: cannot be read: No such file",
        ),
        (
            {"delay": {"kind": "empirical", "file": "none.csv", "values": [1.0]}},
            "terms.delay.file: there are values, too",
        ),
    ],
)
def test_a_wrong_field_is_named_in_one_sentence(tmp_path, terms, message):
    with pytest.raises(UsageError, match=message) as caught:
        file.read(_write(tmp_path / "spec.json", terms))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON: .* at line 1"),
        ("3", "must be an object, got 3"),
        ('{"terms": {}}', "schema_version: missing"),
        ('{"schema_version": 1}', "terms: missing"),
        ('{"schema_version": 2, "terms": {}}', "schema_version: must be 1, got 2"),
        ('{"schema_version": 1, "terms": {}, "name": ""}', "name: unknown field"),
        ('{"schema_version": 1, "terms": {"a": {"kind": "constant", "value": NaN}}}', "terms.a.value: must be finite"),
        ('{"schema_version": 1, "terms": {"a": {}, "a": {}}}', "a: appears twice"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_is_no_randomisation_is_refused(tmp_path, text, message):
    path = tmp_path / "spec.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        file.read(path)


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        file.read(tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8 text"):
        file.read(tmp_path / "bytes.json")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"# nothing\n", "holds no number"),
        ("words.csv", b"delay\n1.0\nsoon\n", "line 3 holds something else than numbers"),
        ("nan.csv", b"1.0\nnan\n", "holds a number that is not finite"),
        ("bytes.csv", b"\xff\xfe", "is neither text nor"),
        ("junk.npy", b"junk", "is not an array of numbers"),
    ],
)
def test_samples_that_are_none_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_samples(tmp_path / name)


def test_an_array_of_something_else_is_refused(tmp_path):
    np.save(tmp_path / "text.npy", np.array(["a"]))
    with pytest.raises(UsageError, match="is not an array of real numbers"):
        read_samples(tmp_path / "text.npy")


def test_terms_are_updated_in_place_and_new_ones_come_last():
    new = (Term("kp_factor", Constant(1.0)), Term("gravity_offset", Uniform(-0.1, 0.1)))
    updated = SPEC.updated(*new)
    assert [t.parameter for t in updated.terms] == [*(t.parameter for t in SPEC.terms), "gravity_offset"]
    assert updated.terms[1] == new[0]
