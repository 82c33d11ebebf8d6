import dataclasses
import enum

import pytest
from toy_training import mirror

from contract.errors import LandbridgeError, UsageError
from domain_rand import file
from domain_rand.distributions import Uniform
from domain_rand.presets import FULL
from domain_rand.spec import Randomisation, Term
from policies import recipes
from policies.config import PPOConfig
from policies.recipe import Recipe, differences, plain, with_arguments
from policies.run_directory import RunDirectory

RECIPE = Recipe("toy", "no-task", Randomisation((Term("friction", Uniform(0.4, 1.2)),)), mirror=mirror)


def test_arguments_change_settings_and_nothing_else():
    arguments = ("--ppo.gamma", "0.9", "--num-envs", "7", "--train.minutes", "2.5", "--controller.hidden", "8", "4")
    changed = with_arguments(RECIPE, arguments)
    assert (changed.ppo.gamma, changed.num_envs, changed.train.minutes) == (0.9, 7, 2.5)
    assert changed.controller.hidden == (8, 4)
    undone = dataclasses.replace(changed, ppo=RECIPE.ppo, num_envs=RECIPE.num_envs, train=RECIPE.train)
    assert dataclasses.replace(undone, controller=RECIPE.controller) == RECIPE
    assert with_arguments(RECIPE, ()) == RECIPE


def test_a_randomisation_is_a_preset_or_a_file(tmp_path):
    assert with_arguments(RECIPE, ("--randomisation", "full")).randomisation == FULL
    assert with_arguments(RECIPE, ("--randomisation", "none")).randomisation == Randomisation()
    path = tmp_path / "mine.json"
    file.write(path, Randomisation((Term("friction", Uniform(0.3, 0.4)),)))
    changed = with_arguments(RECIPE, ("--randomisation", str(path)))
    assert changed.randomisation.terms[0].distribution == Uniform(0.3, 0.4)
    assert dataclasses.replace(changed, randomisation=RECIPE.randomisation) == RECIPE
    with pytest.raises(UsageError, match=r"other\.json is neither a file nor one of none, cartpole, quadruped, full"):
        with_arguments(RECIPE, ("--randomisation", str(tmp_path / "other.json")))


@pytest.mark.parametrize("arguments", [("--ppo.gama", "0.9"), ("--num-envs", "many"), ("stray",)])
def test_a_wrong_argument_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        with_arguments(RECIPE, arguments)
    assert stopped.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_value_out_of_range_is_refused_by_name():
    with pytest.raises(UsageError, match=r"ppo\.gamma: must be between 0 and 1, got 1\.5"):
        with_arguments(RECIPE, ("--ppo.gamma", "1.5"))


class Colour(enum.Enum):
    RED = "red"


def test_plain_configuration_tells_configurations_apart():
    assert plain(RECIPE) == plain(dataclasses.replace(RECIPE))
    assert plain({"a": (1, Colour.RED), "f": mirror}) == {"a": [1, "red"], "f": "toy_training.mirror"}
    other = dataclasses.replace(
        RECIPE,
        ppo=PPOConfig(gamma=0.5),
        randomisation=Randomisation((Term("friction", Uniform(0.4, 2.0)),)),
    )
    assert differences(plain(RECIPE), plain(other)) == [
        "randomisation.terms[0].distribution.high: 1.2 is now 2.0",
        "ppo.gamma: 0.99 is now 0.5",
    ]
    assert differences({"a": 1}, {"b": 2}) == ["a: 1 is now None", "b: None is now 2"]


def test_an_unknown_recipe_is_refused_with_the_closest():
    with pytest.raises(UsageError, match="did you mean 'go2-velocity-flat'"):
        recipes.load("go2-velocity")


def test_each_run_has_a_directory_of_its_own(tmp_path):
    paths = {RunDirectory.create(tmp_path / "runs", "toy").path for _ in range(4)}
    assert len(paths) == 4
    assert {path.parent for path in paths} == {tmp_path / "runs" / "toy"}


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LandbridgeError, match="cannot make"):
        RunDirectory.create(tmp_path / "file", "toy")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "toy").write_text("")
    with pytest.raises(LandbridgeError, match="cannot make"):
        RunDirectory.create(tmp_path / "runs", "toy")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="not the directory of a training run"):
        RunDirectory.existing(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(LandbridgeError, match="cannot read"):
        RunDirectory.existing(tmp_path).read_json("config.json")
