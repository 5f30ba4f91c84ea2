"""General functions: the grammar of the templates, what is made of a wheel, the user's own, and every clear error."""

import re
import sys
import zipfile
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertiny.core import stage
from supertiny.core.calls import Call, Function
from supertiny.core.errors import UserError
from supertiny.core.files import write_jsonl
from supertiny.core.records import Example, write_functions
from supertiny.core.stage import cache_home
from supertiny.data import skills
from supertiny.data.dataset import Dataset, DatasetSizes
from supertiny.data.home.functions import FUNCTION_OF
from supertiny.data.skills import (
    NAMES,
    NEAR,
    SKILLS,
    Skill,
    expand,
    function_name,
    general,
    parse,
    way,
    ways,
    with_general,
)
from tests.unit.data.conftest import make_config

# ---- the grammar


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("flip a coin", {"flip a coin"}),
        ("(pick|choose) {n}", {"pick {n}", "choose {n}"}),
        ("(a|) b", {"a b", "b"}),
        ("[very] good", {"very good", "good"}),
        ("[x|y] z", {"x z", "y z", "z"}),
        ("((a|b) c|d) [e]", {"a c e", "b c e", "d e", "a c", "b c", "d"}),
        ("one|two", {"one", "two"}),
        ("at {time:when}", {"at {time:when}"}),
        ("a (b) c", {"a b c"}),
    ],
)
def test_lines_worked_by_hand(line, sentences):
    assert set(expand(line, 99, Random(0))) == sentences
    assert ways(parse(line)) >= len(sentences)


@pytest.mark.parametrize("line", ["(a", "a)", "[a)", "(a]", "{a", "a}", "{}", "<day> it is", "count to #", "say :0"])
def test_what_is_no_template_of_this_grammar_is_left_out(line):
    assert parse(line) is None and expand(line, 9, Random(0)) == []


WORD = st.sampled_from(["turn", "it", "please", "{slot}", "it's"])
NODES = st.recursive(
    WORD.map(lambda word: (word, re.escape(word))),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(
            lambda many: (" ".join(one for one, _ in many), " ".join(two for _, two in many))
        ),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda many: (f"({'|'.join(one for one, _ in many)})", f"(?:{'|'.join(two for _, two in many)})")
        ),
        inner.map(lambda one: (f"[{one[0]}]", f"(?:{one[1]})?")),
    ),
    max_leaves=12,
)  # fmt: skip


@given(NODES, st.integers(1, 20), st.integers(0, 9))
def test_every_sentence_of_a_line_is_one_that_its_grammar_admits(node, most, seed):
    line, pattern = node
    loose = re.compile(re.sub(r"(?<!\\) ", r"\\s*", pattern.replace("\\ ", " ")))
    found = expand(line, most, Random(seed))
    assert len(found) == len(set(found)) <= min(most, ways(parse(line)))
    assert all(loose.fullmatch(sentence) for sentence in found)
    assert found == expand(line, most, Random(seed))


@given(NODES)
def test_ways_counts_every_way_and_each_is_reached(node):
    template = parse(node[0])
    total = ways(template)
    if total <= 500:
        said = {" ".join(way(template, number).split()) for number in range(total)}
        assert said - {""} == set(expand(node[0], total, Random(1)))


# ---- wheels


def make_wheel(name: str, files: dict[str, str]) -> str:
    """A fake wheel in the cache; its sha256."""
    path = cache_home() / "wheels" / f"{name}.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(f"pkg/locale/{file}", text)
    return sha256(path.read_bytes()).hexdigest()


BOILER = {
    "en-us/deep/er/heat.water.intent": "# a comment\n(heat|warm) [the] water to {level}\n\nwarm up the water\n<voc>\n",
    "en-US/level.entity": "hot\nvery (warm|cold)\n##\n",
    "en-us/shared.intent": "what is it like in {location}\nonly here\nplay some music\n",
    "de-de/heat.water.intent": "mach das Wasser warm\n",
}
WEATHER = {"en-us/OtherOne.intent": "What is it like in {city}?\nis it wet in {city}\nis it wet\n"}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = tuple(
        Skill(wheel, "MIT", domain, make_wheel(wheel, files))
        for wheel, domain, files in (("boiler==1.0", "boiler", BOILER), ("sky==2.0", "sky", WEATHER))
    )
    monkeypatch.setattr(skills, "SKILLS", made)
    monkeypatch.setattr(stage.subprocess, "run", lambda *args, **kwargs: pytest.fail("the network was asked"))
    return made


def test_a_template_file_is_a_function_and_its_slots_are_parameters(fake):
    pool, rows = general("skills", 0, 1, False)
    assert pool.keys() == {"boiler_heat_water", "boiler_shared", "sky_other_one"}
    assert {name: p.required for name, p in pool["boiler_heat_water"].parameters.items()} == {"level": False}
    assert pool["boiler_shared"].parameters == {}, "its one line with a slot asks what another function is asked"
    assert {row.query for row in rows if row.answers[0].name == "boiler_shared"} == {"only here"}
    levels = {row.answers[0].arguments.get("level") for row in rows if row.answers[0].name == "boiler_heat_water"}
    assert levels == {"hot", "very warm", "very cold", None}
    for row in rows:
        call = row.answers[0]
        assert isinstance(call, Call) and row.tags == ("general",) and row.candidates == ()
        assert "{" not in row.query and "music" not in row.query and "wasser" not in row.query.lower()
        assert all(value in row.query for value in call.arguments.values())
        assert row.template.startswith(f"{call.name}: ")
    queries = [row.query.lower() for row in rows]
    assert len(queries) == len(set(queries)) and len({row.id for row in rows}) == len(rows)


def test_the_same_seed_gives_the_same_rows_and_a_size_is_spread_over_the_functions(fake):
    assert general("skills", 6, 1, False) == general("skills", 6, 1, False)
    assert general("skills", 6, 1, False)[1] != general("skills", 6, 2, False)[1]
    called = [row.answers[0].name for row in general("skills", 5, 1, False)[1]]
    assert sorted(map(called.count, set(called))) == [1, 2, 2]


def test_bytes_that_are_not_the_pinned_ones_stop_it_before_any_is_opened_and_are_deleted(fake, monkeypatch):
    bad = cache_home() / "wheels" / "sky==2.0.whl"
    bad.write_bytes(bad.read_bytes() + b"x")
    monkeypatch.setattr(skills, "read_skill", lambda *args: pytest.fail("a wheel was opened"))
    with pytest.raises(
        UserError, match=r"dataset.general: skills: sky==2.0: sha256 is .*, expected .*deleted, run again"
    ):
        general("skills", 0, 1, False)
    assert not bad.exists() and (cache_home() / "wheels" / "boiler==1.0.whl").exists()


def test_without_the_index_the_error_says_what_else_there_is(fake, monkeypatch):
    (cache_home() / "wheels" / "boiler==1.0.whl").unlink()
    asked = []

    class Failed:
        returncode, stderr = 1, "no route to host"

    monkeypatch.setattr(stage.subprocess, "run", lambda command, **kwargs: asked.append(command) or Failed())
    wanted = (
        r"dataset.general: skills: boiler==1.0: pip could not download it: no route to host \(or set .*none, or path:"
    )
    with pytest.raises(UserError, match=wanted):
        general("skills", 0, 1, False)
    assert asked[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert asked[0][asked[0].index("--only-binary") + 1] == ":all:", "a source distribution would be run"


def test_every_skill_is_pinned_and_under_a_licence_that_is_not_the_gpl():
    assert len({skill.wheel for skill in SKILLS}) == len({skill.sha256 for skill in SKILLS}) == len(SKILLS)
    for skill in SKILLS:
        assert re.fullmatch(r"ovos-skill-[a-z0-9-]+==\d+(\.\d+)+", skill.wheel)
        assert re.fullmatch(r"[0-9a-f]{64}", skill.sha256)
        assert skill.licence in ("Apache-2.0", "BSD-3-Clause", "MIT")
        assert set(skill.words.values()) <= skills.WORDS.keys()
    assert set(skills.KINDS.values()) <= skills.WORDS.keys()
    assert all(len(set(values)) == len(values) >= 10 for values in skills.WORDS.values())


@pytest.mark.skipif(
    not all((cache_home() / "wheels" / f"{skill.wheel}.whl").is_file() for skill in SKILLS),
    reason="the wheels are not in this user's cache",
)
def test_the_skills_themselves():
    pool, rows = general("skills", 2400, 42, False)
    assert len(pool) >= 100 and sum(bool(function.parameters) for function in pool.values()) >= 50
    assert len(rows) == 2400
    assert not pool.keys() & set(FUNCTION_OF.values())
    for name in pool:
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name) and len(name) <= 40
    for row in rows:
        assert not NEAR.search(row.query.split("{")[0]) or row.answers[0].arguments
        assert not re.search(r"[{}()\[\]|<>]", row.query)
        assert set(row.answers[0].arguments) <= pool[row.answers[0].name].parameters.keys()
    plain = [" ".join(re.findall(r"\w+", row.query.lower())) for row in rows]
    assert len(set(plain)) == len(plain)
    for skill in SKILLS:
        with zipfile.ZipFile(cache_home() / "wheels" / f"{skill.wheel}.whl") as archive:
            said = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            licence = re.search(r"^License(?:-Expression)?: (.+)$", archive.read(said).decode(), re.MULTILINE)
        assert licence is not None and "GPL" not in licence[1]
        assert licence[1].replace("Apache2.0", "Apache-2.0") == skill.licence


@pytest.mark.parametrize(
    "sentence",
    [
        "turn the volume up", "next track", "play jazz", "pause", "add milk to my shopping list", "put it on the list",
        "start the vacuum", "mow the lawn", "mute it", "which song is this",
    ],
)  # fmt: skip
def test_sentences_near_the_held_out_functions_are_known(sentence):
    assert NEAR.search(sentence)


@pytest.mark.parametrize(
    "sentence", ["who plays in Jaws", "list horror movies", "are movies playing now", "stop parroting"]
)
def test_and_others_are_not(sentence):
    assert not NEAR.search(sentence)


def test_names_read_well():
    sky = Skill("", "", "space_station", "")
    assert function_name(sky, "nextPass.of-space.station") == "space_station_next_pass_of"
    assert len(set(NAMES.values())) == len(NAMES)


# ---- the user's own


def give(folder, rows: list[dict]) -> None:
    write_functions(folder / "functions.json", {"brew": Function("brew", "Brews")})
    write_jsonl(folder / "queries.jsonl", rows)


BREW = {"name": "brew", "arguments": {}}


def test_a_folder_needs_both_files_and_a_label(tmp_path):
    with pytest.raises(UserError, match=r"params.yaml: dataset.general: .*functions.json does not exist; put the file"):
        general(f"path:{tmp_path}", 0, 1, False)
    give(tmp_path, [{"id": "a", "query": "brew"}])
    with pytest.raises(UserError, match=r"queries.jsonl: field 'answers': no row has any"):
        general(f"path:{tmp_path}", 0, 1, False)
    give(tmp_path, [{"id": "a", "query": "brew", "answers": [{"name": "fly", "arguments": {}}]}])
    with pytest.raises(UserError, match=r"queries.jsonl, line 1: field 'answers\[0\]'"):
        general(f"path:{tmp_path}", 0, 1, False)
    give(tmp_path, [{"id": str(n), "query": f"brew {n}", "answers": [BREW]} for n in range(9)])
    some = general(f"path:{tmp_path}", 4, 1, False)[1]
    assert len(some) == 4 and len(general(f"path:{tmp_path}", 0, 1, False)[1]) == 9
    assert some == general(f"path:{tmp_path}", 4, 1, False)[1]


def test_the_hub_is_not_asked_unless_online():
    with pytest.raises(
        UserError, match=r"dataset.general 'hf:some/set@abc': not on this machine \(set base.online: true"
    ):
        general("hf:some/set@abc", 0, 1, False)


def test_none_is_nothing():
    assert general("none", 0, 1, False) == ({}, [])


@pytest.mark.parametrize(
    "source",
    ["skill", "path:", "path:data/own", "path:data/own/", "path:/data/own/x", "path:data/own/../x", "hf:a/b", ""],
)
def test_a_source_that_is_none_is_an_error_that_names_the_parameter(source):
    with pytest.raises(UserError, match=r"general: expected skills, none, path:data/own/<folder> .* got "):
        make_config(general=source)


@pytest.mark.parametrize(
    "source", ["skills", "none", "path:data/own/general", "path:data/massive/a/b", "hf:a/b@c0ffee"]
)
def test_sources_that_there_are(source):
    assert make_config(general=source).general == source


def test_the_number_of_examples_may_be_nought_but_not_less():
    sizes = {"train": 1, "expert": 1, "dev": 1, "dev_ood": 1, "test": 1, "ood": 1}
    assert DatasetSizes(**sizes).general == 0
    with pytest.raises(UserError, match="general: must be at least 0 rows"):
        DatasetSizes(**sizes, general=-1)


def test_what_the_task_asks_is_no_general_example_and_names_are_kept_apart():
    asked = Example(id="t", query="What's the time?", answers=())
    task = Dataset(pool={"brew": Function("brew", "")}, knowledge=[], splits={"test": [asked]})
    rows = [
        Example(id=str(n), query=query, answers=(Call("get", {}),)) for n, query in enumerate(("whats the TIME", "why"))
    ]
    both = with_general(task, ({"get": Function("get", "")}, rows))
    assert [row.query for row in both.general] == ["why"] and both.general_pool.keys() == {"get"}
    assert task.general == [] and task.general_pool == {}
    with pytest.raises(UserError, match=r"params.yaml: dataset.general: function 'brew' stands in the task's pool too"):
        with_general(task, (task.pool, []))
