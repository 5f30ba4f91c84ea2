"""The reward as OpenRLHF calls it: per sample, prompt and special tokens in the query, nothing may be raised."""

import json
from importlib.util import module_from_spec, spec_from_file_location

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core.calls import Call, Function, Parameter, Refusal, Syntax
from supertiny.core.code import Choices, Tree
from supertiny.core.prompt import write
from supertiny.core.records import Example
from supertiny.engines.openrlhf.reward_file import label, read_label, reward_func
from supertiny.rl.rewards import Level, reward
from tests.house import PACKAGE, ROOT, imported

POOL = {
    "dim": Function(
        "dim", "Dims", {"name": Parameter("string", "Which", True, ("lamp", "fan")), "on": Parameter("boolean")}
    ),
    "turn_off": Function("turn_off", "Turns off"),
    "explode": Function("explode", "Bang"),
}
EXAMPLE = Example(
    id="1",
    query="dim the lamp",
    candidates=("turn_off", "dim"),
    answers=(Call("dim", {"name": "lamp"}), Call("explode", {}), Refusal.UNCLEAR),
)
END = "<|im_end|>"
PROMPT = "Query: dim the lamp <think>\nAnswer:"
LABEL = label(EXAMPLE, POOL, Syntax.json, END)
RIGHT = write("dim", '{"name":"dim","arguments":{"name":"lamp"}}')
WRONG = write("dim", '{"name":"dim","arguments":{"name":"fan"}}')


def asked(query, prompt=PROMPT, text=LABEL):
    return reward_func([query], [prompt], [text])


def test_a_label_holds_what_the_reward_needs_of_an_example():
    """The answer by a function that is not offered is left out: no reply can give it."""
    found = read_label(LABEL)
    assert list(found.offered) == ["turn_off", "dim"]
    assert found.offered["dim"].parameters["name"] == Parameter("string", "", True, ("lamp", "fan"))
    assert found.answers == (EXAMPLE.answers[0], Refusal.UNCLEAR)
    assert found.end == END and found.syntax is Syntax.json


def test_a_label_keeps_what_the_items_of_an_array_may_be():
    plan = Function("plan", "", {"days": Parameter("array", items=Parameter("string", enum=("mon",)))})
    row = Example(id="1", query="?", candidates=("plan",), answers=(Call("plan", {"days": ["mon"]}),))
    found = read_label(label(row, {"plan": plan}, Syntax.json, END))
    assert found.offered == {"plan": plan} and found.answers == row.answers
    assert read_label(label(row, {"plan": plan}, Syntax.json, END).replace("mon", "sun", 1)) is None


@pytest.mark.parametrize("before", ["", "<s>"])
@pytest.mark.parametrize("after", ["", END, f"\n{END}\n"])
def test_the_reply_is_what_lies_between_the_prompt_and_the_end_token(before, after):
    found = asked(before + PROMPT + RIGHT + after)
    assert (found["rewards"], found["scores"]) == (3.0, 3.0)
    logs = found["extra_logs"]
    assert (logs["format"], logs["answer"], logs["level: correct"], logs["unscored"]) == (1.0, 2.0, 1.0, 0.0)
    assert sum(logs[f"level: {level}"] for level in Level) == 1.0


@pytest.mark.parametrize("reply", [RIGHT, WRONG, "", "x", RIGHT + RIGHT, RIGHT + END + END])
def test_it_is_the_same_reward(reply):
    offered = {name: POOL[name] for name in EXAMPLE.candidates}
    assert asked(PROMPT + reply + END)["rewards"] == reward(reply, EXAMPLE.answers, offered, Syntax.json).value


def broken(**change):
    return json.dumps(json.loads(LABEL) | change)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("another prompt", LABEL),
        (PROMPT, ""),
        (PROMPT, None),
        (PROMPT, "null"),
        (PROMPT, "{}"),
        (PROMPT, "[" * 100_000),
        (PROMPT, broken(offered=[])),
        (PROMPT, broken(offered={"dim": {"name": {"type": "colour", "required": True, "enum": []}}})),
        (PROMPT, broken(offered={"dim": {"name": {"type": [], "required": True, "enum": []}}})),
        (PROMPT, broken(offered={"dim": {"name": {"type": "string", "required": True, "enum": 5}}})),
        (PROMPT, broken(answers=[{"name": "unoffered", "arguments": {}}])),
        (PROMPT, broken(answers=5)),
        (PROMPT, broken(end=None)),
        (PROMPT, broken(syntax="toml")),
        (PROMPT, broken(syntax=None)),
    ],
)
def test_what_cannot_be_scored_earns_the_least_and_is_counted(prompt, text):
    found = asked(PROMPT + RIGHT, prompt, text)
    assert (found["rewards"], found["extra_logs"]["unscored"]) == (-2.0, 1.0)
    assert found["extra_logs"].keys() == asked(PROMPT + RIGHT)["extra_logs"].keys()


def test_a_wrong_reply_is_told_from_one_that_cannot_be_scored():
    assert asked(PROMPT)["extra_logs"]["unscored"] == 0.0
    assert reward_func([], [], [])["extra_logs"]["unscored"] == 1.0


def test_several_replies_have_the_mean():
    """3 and 1 - 1.25 = -0.25."""
    found = reward_func([PROMPT + RIGHT, PROMPT + WRONG], [PROMPT] * 2, [LABEL] * 2)
    assert found["rewards"] == pytest.approx(1.375)
    assert found["extra_logs"]["level: a parameter right"] == 0.5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["offered", "answers", "end", "dim", "type", "enum", "required"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.text(), st.one_of(st.text(), json_values.map(json.dumps), json_values))
def test_no_label_and_no_query_raises(query, text):
    assert asked(query, "", text)["rewards"] <= 3.0


def test_it_loads_from_its_file_alone():
    """OpenRLHF executes the file under a name of its own and takes `reward_func`."""
    spec = spec_from_file_location("reward_func", PACKAGE / "engines/openrlhf/reward_file.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.reward_func([PROMPT + RIGHT], [PROMPT], [LABEL])["rewards"] == 3.0


def test_it_reaches_no_trainer():
    start = PACKAGE / "engines/openrlhf/reward_file.py"
    for file in Tree(ROOT).reached(start, Choices({}, {})):
        heavy = {name.split(".")[0] for name in imported(file)} & {"torch", "transformers", "accelerate", "openrlhf"}
        assert not heavy, f"{file} imports {heavy}"


def test_a_label_says_in_which_syntax_a_call_is_due():
    text = label(EXAMPLE, POOL, Syntax.python, END)
    assert asked(PROMPT + write("dim", 'dim(name="lamp")') + END, text=text)["rewards"] == 3.0
    assert asked(PROMPT + RIGHT + END, text=text)["extra_logs"]["level: unparseable"] == 1.0
