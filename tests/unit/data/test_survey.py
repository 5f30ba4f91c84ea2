"""Each finding of `supertiny init`, on queries that nothing else is wrong with."""

import json
import re

import pytest

from supertiny.core.calls import Function, Parameter
from supertiny.core.errors import UserError
from supertiny.core.findings import State
from supertiny.core.records import write_functions
from supertiny.data.dataset import DatasetSizes, OwnConfig
from supertiny.data.own import own
from supertiny.data.survey import asked, read_own, sentence, survey_rows, survey_splits
from tests.house import ROOT
from tests.unit.commands.conftest import row, rows, write_own
from tests.unit.data.conftest import make_config

SIZES = DatasetSizes(train=300, expert=50, dev=50, dev_ood=40, test=100, ood=60)


def doubts(folder, queries, judge="reference", terms=(), **descriptions) -> dict[str, str]:
    """What is doubtful in the files: subject -> what is said and the remedy."""
    found = looked_at(folder, queries, judge, terms, **descriptions)
    return {one.what: f"{one.said}; {one.remedy}" for one in found if one.state is not State.OK}


def looked_at(folder, queries, judge="reference", terms=(), **descriptions):
    paths = write_own(folder, queries, **descriptions)
    read = read_own(**paths)
    (folder / "terms.json").write_text(json.dumps([{"term": term, "explanation": f"{term}: x"} for term in terms]))
    given = {name: str(path) for name, path in paths.items()} | {"knowledge": str(folder / "terms.json")}
    files = OwnConfig(verdicts=None, **given)
    dataset = own(make_config(own=files), SIZES, 0)
    found = [*survey_rows(read), *survey_splits(read, dataset, SIZES, judge)]
    assert len({finding.what for finding in found}) == len(found), "two findings of one name"
    return found


def changed(number: int, **values) -> list[dict]:
    """The rows, one of them changed."""
    queries = rows()
    queries[number] |= values
    return queries


def test_nothing_is_doubtful_in_sound_files(tmp_path):
    assert doubts(tmp_path, rows()) == {}


@pytest.mark.parametrize(
    ("queries", "what", "said"),
    [
        ([*rows(), row(0, "brew") | {"id": "again"}], "duplicates", "1 query stands there already: line 449;"),
        ([*rows(), row(0, None) | {"id": "again", "query": " Please BREW the machine number 0 of 0"}],
         "duplicates", "1 query stands there already: line 449;"),
        ([*rows(), row(0, "heat") | {"id": "other", "query": row(0, "brew")["query"]}],
         "contradictions", "lines 1, 449;"),
        (changed(2, answers=[*row(2, "clean")["answers"], *row(2, "heat")["answers"]]),
         "answers", "1 query has several, of different functions: line 3;"),
        (rows()[:400] + rows()[408:], "refusals", "none;"),
        (rows()[:408], "ood", "empty: no row is tagged unseen;"),
        (changed(7, answers=[]), "judge", "1 of 208 training queries have no answer, and judge.kind: reference"),
        (rows()[:40] + rows()[400:], "test", "12 queries: an AR of .5 is known to +- 0.28;"),
    ],
)  # fmt: skip
def test_what_is_doubtful_is_named_with_its_lines(tmp_path, queries, what, said):
    assert said in doubts(tmp_path, queries)[what]


def test_terms_that_no_query_says_are_named(tmp_path):
    found = {one.what: one for one in looked_at(tmp_path, rows(), terms=("the machine", "Number 3", "crema"))}
    assert str(found["knowledge"]).startswith("warning  knowledge: queries say 2 of 3 terms, and not crema; write")
    (said,) = [one for one in looked_at(tmp_path, rows(), terms=("machine",)) if one.what == "knowledge"]
    assert str(said) == "ok       knowledge: queries say 1 of 1 term"
    assert "knowledge" not in {one.what for one in looked_at(tmp_path, rows())}


def test_terms_and_values_are_found_in_a_language_that_parts_no_words(tmp_path):
    """Two of these queries say where in words that only the knowledge base explains."""
    pool = {"开灯": Function("开灯", "打开灯", {"房间": Parameter("string"), "分钟": Parameter("integer")})}
    said = ["请把老地方的灯打开", "打开老地方灯", "打开客厅灯", "计时15分钟"]
    values = [{"房间": "地下室"}, {"房间": "老地方"}, {"房间": "客厅"}, {"分钟": 15}]
    lines = [
        {"id": str(n), "query": query, "answers": [{"name": "开灯", "arguments": value}]}
        for n, (query, value) in enumerate(zip(said, values, strict=True))
    ]
    write_functions(tmp_path / "tools.json", pool)
    (tmp_path / "queries.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (tmp_path / "terms.json").write_text(json.dumps([{"term": "老地方", "explanation": "老地方: 地下室"}]))
    paths = {"functions": tmp_path / "tools.json", "queries": tmp_path / "queries.jsonl"}
    read = read_own(**paths)
    assert [sentence(row) for row in read.rows] == [said[0], "打开{房间}灯", "打开{房间}灯", "计时{分钟}分钟"]
    files = OwnConfig(verdicts=None, knowledge=str(tmp_path / "terms.json"), **{n: str(p) for n, p in paths.items()})
    dataset = own(make_config(own=files), SIZES, 0)
    explained = {row.id for part in dataset.splits.values() for row in part if row.knowledge == ("老地方: 地下室",)}
    assert explained == {"0", "1"} == {row.id for p in dataset.splits.values() for row in p if "knowledge" in row.tags}
    assert "knowledge: queries say 1 of 1 term" in str([str(one) for one in survey_splits(read, dataset, SIZES, "llm")])


def test_the_row_that_the_page_shows_is_one_that_is_read(tmp_path):
    (shown,) = re.findall(r"(?ms)^```json\n(.*?)^```", (ROOT / "docs/own.md").read_text())
    (read,) = read_own(**write_own(tmp_path, [json.loads(shown)])).labelled()
    assert sentence(read) == "grind {cups} in the {room}" and read.answers[0].arguments == {"cups": 2}


def test_a_row_that_says_the_same_of_another_situation_is_no_duplicate(tmp_path):
    again = row(0, "brew") | {"id": "again", "context": {"room": "kitchen"}}
    assert "duplicates" not in doubts(tmp_path, [*rows(), again])


def test_a_row_with_all_right_answers_does_not_contradict_one_that_has_some(tmp_path):
    both = row(0, "brew") | {"id": "both", "answers": [*row(0, "brew")["answers"], *row(1, "brew")["answers"]]}
    found = doubts(tmp_path, [*rows(), both])
    assert "contradictions" not in found and "line 449" in found["duplicates"]


def test_functions_without_a_description_or_examples_are_named(tmp_path):
    few = [one for n, one in enumerate(rows()) if n >= 400 or n % 4 != 3 or n < 24]
    found = doubts(tmp_path, few, grind="", clean=" ")
    assert "2 functions without: grind, clean;" in found["descriptions"]
    assert "1 function has fewer than 8" in found["examples"] and "heat " in found["examples"]


def test_sentences_that_differ_in_values_alone_leak_where_no_template_keeps_them_together(tmp_path):
    alike = [one | {"query": f"make me {n} cups", "template": ""} if n < 40 else one for n, one in enumerate(rows())]
    assert "differ from a learned one in values alone, such as 'make me" in doubts(tmp_path, alike)["leaks"]
    kept = [one | ({"template": "make me {cups} cups"} if n < 40 else {}) for n, one in enumerate(alike)]
    assert "leaks" not in doubts(tmp_path, kept)


def test_a_judge_that_needs_no_label_is_not_doubted(tmp_path):
    assert "judge" not in doubts(tmp_path, changed(7, answers=[]), judge="classifier")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"query": ""}, r"queries.jsonl, line 3: field 'query': is empty"),
        ({"answers": [{"name": "brew", "arguments": {"cups": "two"}}]}, r"line 3: field 'answers\[0\]': wrong type"),
        ({"answers": [{"name": "brwe", "arguments": {}}]},
         r"queries.jsonl, line 3: field 'answers': 'brwe' \(1 answer, first in line 3, did you mean 'brew'\?\)"),
    ],
)  # fmt: skip
def test_what_is_wrong_names_file_line_and_field(tmp_path, values, message):
    with pytest.raises(UserError, match=message):
        read_own(**write_own(tmp_path, changed(2, **values)))


def test_all_unknown_functions_are_named_at_once(tmp_path):
    queries = [
        one | ({"answers": [{"name": f"x{n % 2}", "arguments": {}}]} if n < 5 else {}) for n, one in enumerate(rows())
    ]
    with pytest.raises(UserError, match=r"'x0' \(3 answers, first in line 1\); 'x1' \(2 answers, first in line 2\)"):
        read_own(**write_own(tmp_path, queries))


def test_a_sentence_is_the_template_or_the_query_without_the_values_of_its_call(tmp_path):
    queries = [
        {"id": "a", "query": "Heat 20 cups, 2 of them twice", "answers": [{"name": "heat", "arguments": {"cups": 2}}]},
        {"id": "b", "query": "heat 3", "template": " Heat  {cups}"},
        {"id": "c", "query": "heat 3"},
    ]
    texts = [sentence(one) for one in read_own(**write_own(tmp_path, queries)).rows]
    assert texts == ["heat 20 cups, {cups} of them twice", "heat {cups}", "heat 3"]


def test_rows_ask_the_same_if_query_context_and_history_are(tmp_path):
    turn = {"query": "go", "answer": {"name": "brew", "arguments": {}}}
    queries = [
        {"id": "a", "query": "now"},
        {"id": "b", "query": " NOW"},
        {"id": "c", "query": "now", "history": [turn]},
    ]
    first, second, third = (asked(one) for one in read_own(**write_own(tmp_path, queries)).rows)
    assert first == second != third
