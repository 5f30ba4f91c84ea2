"""What is read to train on, and where queries of other domains stand in it."""

import json
from dataclasses import replace

import pytest

from supertiny.core.calls import Call, Function, Refusal, Syntax
from supertiny.core.config import load
from supertiny.core.errors import UserError
from supertiny.core.prompt import PromptConfig
from supertiny.core.records import Example, write_examples, write_functions
from supertiny.sft.groups import ListConfig, PackConfig
from supertiny.sft.packs import TrainingSet, read_training_set, with_replies
from tests.project import smoke_project

POOL = {name: Function(name, f"Does {name}") for name in ("open_lid", "shut_lid")}
OTHERS = {name: Function(name, f"Does {name}") for name in ("roll_dice", "flip_coin", "tell_joke")}
ROWS = [Example(id=str(n), query="lid", candidates=tuple(POOL), answers=(Call("open_lid"),)) for n in range(12)]
GENERAL = [Example(id=f"g{n}", query="toss", answers=(Call("flip_coin"),)) for n in range(4)]
PACK = PackConfig(
    group_size=2, whole=1.0, list=ListConfig(least=1, most=2), substitution=0.0, function_dropout=0.0, general=0.5
)
PROMPT = PromptConfig(rules=[], max_pool_tokens=2000, describe=False, history_turns=1, answer=Syntax.json)
DATA = TrainingSet(ROWS, ROWS[:2], POOL, PACK, PROMPT, 0, general=GENERAL, general_pool=OTHERS)


def prefixes(data, tokenizer):
    return [tokenizer.decode(pack.prefix) for pack in data.packs(tokenizer)]


def test_groups_of_other_domains_stand_evenly_between_those_of_the_own(tokenizer):
    """Each behind a drawn list of their pool; when all their rows have stood there, they come again."""
    found = prefixes(DATA, tokenizer)
    own = ["lid" in prefix for prefix in found]
    assert own == [True, False, True] * 3
    assert all(prefix.count("\n") <= 3 for prefix in found), "a list of one or two"
    branches = [branch.prompt for pack in DATA.packs(tokenizer) for branch in pack.branches]
    assert len(branches) == 12 + 6 and found == prefixes(DATA, tokenizer)
    alone = replace(DATA, packing=replace(PACK, general=0.0))
    assert prefixes(alone, tokenizer) == [prefix for prefix in found if "lid" in prefix]
    assert prefixes(replace(DATA, general=()), tokenizer) == prefixes(alone, tokenizer)
    assert not any("coin" in tokenizer.decode(pack.prefix) for pack in DATA.dev_packs(tokenizer))


def test_thoughts_are_taught_behind_own_lists_and_of_the_own_domain_alone(tokenizer):
    data = replace(DATA, packing=replace(PACK, whole=0.0, substitution=1.0, function_dropout=1.0))
    taught = with_replies(data, {row.id: "<think>...</think>" for row in ROWS})
    assert set(prefixes(taught, tokenizer)) == {"Functions:\nopen_lid()\nshut_lid()\n"}


@pytest.fixture
def project(tmp_path):
    def change(params, profile):
        params["pack"] |= {"group_size": 3, "general": 0.25}
        profile["sizes"]["sft"] = {"examples": 8, "dev_examples": 3}

    with smoke_project(tmp_path, change) as folder:
        write_functions(folder / "functions.json", POOL)
        for name in ("train", "dev"):
            write_examples(folder / f"{name}.jsonl", ROWS)
        yield folder


def read(folder):
    return read_training_set(folder, folder / "train.jsonl")


def test_the_queries_of_other_domains_are_read_where_there_are_any(project):
    data = read(project)
    assert (data.examples, data.dev, data.general, data.general_pool) == (ROWS[:8], ROWS[:3], [], {})
    assert data.packing == load("pack", PackConfig)
    write_examples(project / "general.jsonl", [])
    (project / "general_functions.json").write_text("[]")
    assert read(project) == data
    write_examples(project / "general.jsonl", GENERAL)
    write_functions(project / "general_functions.json", OTHERS)
    assert read(project) == replace(data, general=GENERAL, general_pool=OTHERS)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"answers": ["Request unclear"], "candidates": []}, "row '3': field 'candidates': offers no function; name"),
        ({"answers": []}, "row '3' has no answer to learn; label it"),
        (
            {"candidates": ["shut_lid"]},
            r"line 4: field 'candidates': 'open_lid', which the first .* none of them",
        ),
    ],
)
def test_a_row_that_nothing_can_be_learned_from_is_named_before_any_work(project, change, wrong):
    path = project / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[3] |= change
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(UserError, match=wrong):
        read(project)


def test_a_row_of_other_domains_without_an_answer_is_named(project):
    write_functions(project / "general_functions.json", OTHERS)
    write_examples(project / "general.jsonl", [*GENERAL, Example(id="g9", query="toss")])
    with pytest.raises(UserError, match=r"general\.jsonl: row 'g9' has no answer to learn"):
        read(project)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"whole": 1.5}, r"whole: expected 0\.\.1, got 1\.5"),
        ({"substitution": -1.0}, r"substitution: expected 0\.\.1"),
        ({"general": -0.5}, "general: expected 0 or more"),
        ({"group_size": 0}, "group_size: expected more than 0"),
    ],
)
def test_numbers_out_of_range_are_named(wrong, said):
    with pytest.raises(UserError, match=said):
        replace(PACK, **wrong)
    with pytest.raises(UserError, match="most: expected at least 8, which is least, got 7"):
        ListConfig(least=8, most=7)


def test_refusals_of_other_domains_stay_refusals(tokenizer):
    rows = [Example(id=f"r{n}", query="sing", answers=(Refusal.NO_FUNCTION,)) for n in range(4)]
    data = replace(DATA, general=rows, packing=replace(PACK, substitution=1.0))
    others = [pack for pack in data.packs(tokenizer) if "lid" not in tokenizer.decode(pack.prefix)]
    assert len(others) == 3
    for pack in others:
        assert all(tokenizer.decode(one.response[:-1]) == " No appropriate function" for one in pack.branches)


def test_a_list_that_is_longer_than_a_prompt_holds_is_said_before_anything_is_trained(tokenizer):
    narrow = replace(DATA, prompt=replace(PROMPT, max_pool_tokens=20))
    with pytest.raises(UserError, match=r"2 functions has 33 tokens.*max_pool_tokens is 20.*dataset.lists: oracle"):
        narrow.packs(tokenizer)
