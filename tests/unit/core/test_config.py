"""Every ill-written parameter is an error that names its key, before any work."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml

from supertiny.core.config import (
    load,
    load_each,
    load_over,
    load_profile,
    merged_profile,
    profile,
    profile_path,
    require,
    seed,
)
from supertiny.core.errors import UserError


@dataclass(kw_only=True, slots=True)
class Schedule:
    start: float


@dataclass(kw_only=True, slots=True)
class Config:
    mu: float
    steps: int
    on: bool
    name: str
    sizes: list[int]
    limit: int | None
    schedule: Schedule

    def __post_init__(self):
        require(0 <= self.mu <= 1, f"mu: expected a share in [0, 1], got {self.mu}")


GOOD = {
    "mu": "0.5",
    "steps": "3",
    "on": "true",
    "name": "akl",
    "sizes": "[1, 2]",
    "limit": "null",
    "schedule": "{start: 1.0}",
}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text, path="params.yaml"):
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text)


def write_section(without="", **changed):
    lines = [f"  {key}: {value}\n" for key, value in {**GOOD, **changed}.items() if key != without]
    write("distill:\n" + "".join(lines))


def test_a_section_becomes_its_schema():
    write_section()
    assert load("distill", Config) == Config(
        mu=0.5, steps=3, on=True, name="akl", sizes=[1, 2], limit=None, schedule=Schedule(start=1.0)
    )


def test_dots_go_deeper():
    write_section()
    assert load("distill.schedule", Schedule).start == 1.0


@pytest.mark.parametrize("key", list(GOOD))
def test_a_missing_key_is_named(key):
    write_section(without=key)
    with pytest.raises(UserError, match=rf"^params\.yaml: distill\.{key}\b"):
        load("distill", Config)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"moo": "1"}, "distill.moo"),
        ({"mu": "abc"}, "distill.mu"),
        ({"mu": "null"}, "distill.mu"),
        ({"mu": "true"}, "distill.mu"),
        ({"mu": "'???'"}, "distill.mu"),
        ({"mu": "'${distill.steps}'"}, "distill.mu"),
        ({"steps": "2.5"}, "distill.steps"),
        ({"steps": "true"}, "distill.steps"),
        ({"on": "maybe"}, "distill.on"),
        ({"name": "[a]"}, "distill.name"),
        ({"name": "2024-05-01"}, "distill.name"),
        ({"sizes": "3"}, "distill.sizes"),
        ({"sizes": "[1, x]"}, "distill.sizes[1]"),
        ({"schedule": "{start: x}"}, "distill.schedule.start"),
        ({"schedule": "{}"}, "distill.schedule.start"),
        ({"schedule": "{start: 1.0, end: 2.0}"}, "distill.schedule.end"),
        ({"schedule": "3"}, "distill.schedule"),
        ({"mu": "1.5"}, "distill: mu"),
        ({"mu": ".nan"}, "distill: mu"),
    ],
)
def test_an_unknown_ill_typed_or_impossible_value_is_named(changed, key):
    write_section(**changed)
    with pytest.raises(UserError) as error:
        load("distill", Config)
    assert str(error.value).startswith(f"params.yaml: {key}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["other: {}\n", "distill:\n", "distill: 3\n", "distill: [1]\n"])
def test_a_missing_section_is_named(text):
    write(text)
    with pytest.raises(UserError, match=r"params\.yaml: section 'distill' is missing"):
        load("distill", Config)


@pytest.mark.parametrize("text", ["a: [1", "a: 1\na: 2\n", "- 1\n", "", "a: !!python/object:os.system 1\n"])
def test_a_broken_file_is_named_in_one_line(text):
    write(text)
    with pytest.raises(UserError, match=r"^params\.yaml") as error:
        load("a", Config)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"params\.yaml does not exist"):
        load("distill", Config)


@pytest.mark.parametrize("word", ["no", "on", "yes", "off", "010", "2e-5", "1_000", "12:30", "0o10", "0x1F", "~x"])
def test_a_value_means_to_us_what_it_means_to_dvc(word):
    """YAML 1.1 reads `no` as false, 010 as eight and 12:30 as 750; DVC reads and writes YAML 1.2."""
    write(f"section: {{name: {word}}}\n")

    @dataclass(kw_only=True, slots=True)
    class Named:
        name: str

    assert load("section", Named).name == str(load_yaml("params.yaml")["section"]["name"])


def test_yaml_of_both_kinds_in_numbers():
    write_section(mu="2e-5", steps="010")
    config = load("distill", Config)
    assert (config.mu, config.steps) == (2e-5, 10)


def test_the_profile_is_the_file_that_params_name():
    write("profile: cpu\n")
    write("sft: {start: 2.0}\n", "profiles/cpu.yaml")
    assert profile_path() == Path("profiles/cpu.yaml")
    assert load_profile("sft", Schedule).start == 2.0
    with pytest.raises(UserError, match=r"profiles/cpu\.yaml: section 'rl'"):
        load_profile("rl", Schedule)


BASE = "train: {start: 1.0, end: 9.0}\nnames: {a: 1}\nlaunch: {programs: {vllm: here}, template: x}\n"


def write_profiles(**profiles):
    write("profile: small\n")
    for name, text in profiles.items():
        write(text, f"profiles/{name}.yaml")


def test_a_profile_says_only_what_differs_from_the_one_it_extends():
    write_profiles(cpu=BASE, gpu="extends: cpu\ntrain: {start: 2.0}\n", small="extends: gpu\ntrain: {end: 5.0}\n")
    assert profile()["train"] == {"start": 2.0, "end": 5.0} and profile()["names"] == {"a": 1}
    assert "extends" not in profile()
    assert merged_profile(Path("profiles/gpu.yaml"))["train"] == {"start": 2.0, "end": 9.0}
    write("extends: gpu\ntrain: null\n", "profiles/small.yaml")
    assert profile()["train"] is None
    with pytest.raises(UserError, match=r"profiles/small\.yaml: section 'train' is missing"):
        load_profile("train", Schedule)


def test_values_of_the_base_are_checked_in_the_name_of_the_chosen_profile():
    write_profiles(cpu="train: {start: x}\n", small="extends: cpu\n")
    with pytest.raises(UserError, match=r"profiles/small\.yaml: train\.start"):
        load_profile("train", Schedule)


@pytest.mark.parametrize(
    ("small", "message"),
    [
        ("extends: none\n", r"profiles/small\.yaml: extends: there is no profiles/none\.yaml .*: cpu, gpu, small"),
        ("extends: null\nextends: cpu\n", r"profiles/small\.yaml is not valid YAML"),
        ("extends: small\n", r"profiles/small\.yaml: extends: small extends small: a profile cannot extend itself"),
        ("extends: gpu\n", r"profiles/gpu\.yaml: extends: small extends gpu extends small"),
        (
            "extends: cpu\ntrane: {}\n",
            r"profiles/small\.yaml: trane: .* has no such key \(it has: train, names, launch\)",
        ),
        ("extends: cpu\ntrain: {stat: 1.0}\n", r"profiles/small\.yaml: train\.stat: .* \(it has: start, end\)"),
        ("extends: cpu\nlaunch: {program: x}\n", r"profiles/small\.yaml: launch\.program: .* programs, template"),
    ],
)
def test_a_profile_that_cannot_be_merged_is_named(small, message):
    write_profiles(cpu=BASE, gpu="extends: small\n", small=small)
    with pytest.raises(UserError, match=message) as error:
        profile()
    assert "\n" not in str(error.value)


def test_a_key_that_only_the_middle_of_a_chain_has_is_unknown_to_its_base():
    write_profiles(cpu=BASE, gpu="extends: cpu\nnames: {b: 1}\n", small="extends: gpu\nnames: {b: 2}\n")
    with pytest.raises(UserError, match=r"profiles/gpu\.yaml: names\.b"):
        profile()


def test_programs_of_a_users_own_may_join():
    write_profiles(cpu=BASE, small="extends: cpu\nlaunch: {programs: {mine: there}}\n")
    assert profile()["launch"] == {"programs": {"vllm": "here", "mine": "there"}, "template": "x"}


def test_a_later_section_says_only_what_differs_from_those_before_it():
    write("all: {start: 1.0, end: 2.0, deep: {a: 1}}\nsome: {one: {end: 3.0, deep: {a: 2}}, none: {}, no: null}\n")

    @dataclass(kw_only=True, slots=True)
    class Deep:
        a: int

    @dataclass(kw_only=True, slots=True)
    class Both:
        start: float
        end: float
        deep: Deep

    assert load_over(("all", "some.one"), Both) == Both(start=1.0, end=3.0, deep=Deep(a=2))
    assert load_over(("all", "some.none"), Both) == Both(start=1.0, end=2.0, deep=Deep(a=1))
    for name in ("no", "two"):
        with pytest.raises(UserError, match=rf"params\.yaml: section 'some\.{name}' is missing"):
            load_over(("all", f"some.{name}"), Both)
    with pytest.raises(UserError, match=r"params\.yaml: some\.one\.\w+: Key"):
        load_over(("all", "some.one"), Schedule)


def test_a_table_may_be_empty_only_where_it_is_said():
    write("table: {a: {start: 1.0}, 2: {start: 2.0}}\nempty: {}\nnothing: null\n")
    assert load_each("table", Schedule) == {"a": Schedule(start=1.0), "2": Schedule(start=2.0)}
    assert load_each("empty", Schedule, empty=True) == {}
    with pytest.raises(UserError, match=r"params\.yaml: section 'empty': expected at least one entry"):
        load_each("empty", Schedule)


def test_an_unknown_profile_names_those_there_are():
    write("profile: tpu\n")
    write("a: 1\n", "profiles/cpu.yaml")
    write("a: 1\n", "profiles/smoke.yaml")
    with pytest.raises(UserError, match=r"profiles/tpu\.yaml \(profiles here: cpu, smoke\)"):
        profile_path()


def test_the_seed():
    write("seed: 17\n")
    assert seed() == 17


@pytest.mark.parametrize("value", ["-1", "4294967296", "true", "1.0", "abc", "null"])
def test_a_bad_seed_is_named(value):
    write(f"seed: {value}\n")
    with pytest.raises(UserError, match=r"params\.yaml: seed: expected an integer"):
        seed()
