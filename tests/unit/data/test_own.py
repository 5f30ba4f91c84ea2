import json

import pytest

from supertiny.core.calls import Call, Function, Parameter
from supertiny.core.errors import UserError
from supertiny.core.records import write_functions
from supertiny.data.dataset import DatasetSizes, OwnConfig, lookup
from supertiny.data.own import own
from tests.unit.data.conftest import make_config

SIZES = DatasetSizes(train=100, expert=4, dev=4, dev_ood=6, test=6, ood=6)
POOL = {
    name: Function(name, name, {"x": Parameter("string", "", True)})
    for name in ("heat", "froth", "brew", "grind", "clean")
}


def row(number: int, name: str | None, **more) -> dict:
    answers = [{"name": name, "arguments": {"x": str(number)}}] if name else []
    return {"id": f"q{number}", "query": f"please do {number}", "answers": answers, **more}


def rows() -> list[dict]:
    labelled = [row(n, ("brew", "grind", "clean")[n % 3]) for n in range(40)]
    return labelled + [row(n, None) for n in range(40, 60)] + [row(n, "heat", tags=["unseen"]) for n in range(60, 66)]


def config(tmp_path, queries: list[dict]):
    write_functions(tmp_path / "functions.json", POOL)
    (tmp_path / "queries.jsonl").write_text("\n".join(json.dumps(query) for query in queries))
    paths = OwnConfig(
        functions=str(tmp_path / "functions.json"),
        queries=str(tmp_path / "queries.jsonl"),
        verdicts=None,
        knowledge=None,
    )
    return make_config(own=paths, num_candidates=2)


def test_own_splits_are_deterministic_and_apart(tmp_path):
    cfg = config(tmp_path, rows())
    dataset = own(cfg, SIZES, 0)
    assert dataset == own(cfg, SIZES, 0)
    assert own(cfg, SIZES, 1).splits["test"] != dataset.splits["test"]
    ids = {split: {r.id for r in part} for split, part in dataset.splits.items()}
    assert [len(ids[split]) for split in ("test", "dev", "expert")] == [6, 4, 4]
    assert len(ids["train"]) == 40 - 14 + 20
    assert not ids["train"] & (ids["test"] | ids["dev"] | ids["expert"])
    for split in ("train", "test"):
        for r in dataset.splits[split]:
            assert "heat" not in r.candidates
            assert not r.answers or r.answers[0].name in r.candidates
            assert r.candidates == ("froth", "brew", "grind", "clean")
    assert {"seen" in r.tags for r in dataset.splits["ood"]} == {True, False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": ""}, r"queries.jsonl, line 3: field 'query': is empty"),
        ({"query": 3}, r"queries.jsonl, line 3: field 'query': expected str, got int"),
        ({"answers": [{"name": "fly", "arguments": {}}]}, r"line 3: field 'answers\[0\]': unknown function"),
        ({"answers": [{"name": "brew", "arguments": {}}]}, r"line 3: field 'answers\[0\]': missing parameter"),
        ({"candidates": ["fly"]}, r"line 3: field 'candidates': no function 'fly'"),
        ({"id": "q1"}, r"queries.jsonl.*: field 'id': 'q1' stands there twice"),
        ({"answers": [{"name": "heat", "arguments": {"x": "1"}}]}, r"id 'q2': field 'answers': 'heat' is also called"),
    ],
)
def test_door_errors_name_file_line_and_field(tmp_path, change, message):
    queries = rows()
    queries[2] = {**queries[2], **change}
    with pytest.raises(UserError, match=message):
        own(config(tmp_path, queries), SIZES, 0)


def judged(tmp_path, *lines: dict):
    (tmp_path / "verdicts.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    cfg = config(tmp_path, rows())
    cfg.own.verdicts = str(tmp_path / "verdicts.jsonl")
    return cfg


def test_rows_that_experts_judged_go_to_expert_with_their_verdicts(tmp_path):
    reply = '{"name": "brew", "arguments": {"x": "1"}}'
    lines = [{"id": f"v{n}", "example": f"q{n}", "reply": reply, "correct": n == 0} for n in (0, 3, 7, 8, 9, 20)]
    dataset = own(judged(tmp_path, *lines), SIZES, 0)
    assert {row.id for row in dataset.splits["expert"]} == {"q0", "q3", "q7", "q8", "q9", "q20"}
    assert [(row.example, row.correct) for row in dataset.verdicts][:2] == [("q0", True), ("q3", False)]
    assert own(config(tmp_path, rows()), SIZES, 0).verdicts is None


def test_whole_templates_fill_a_split_to_its_size_and_not_beyond(tmp_path):
    """Templates of one to four rows: what does not fit is left for the next split."""
    templates = [f"t{group}" for group in range(160) for _ in range(group % 4 + 1)]
    queries = [row(n, "brew", template=template) for n, template in enumerate(templates)]
    sizes = DatasetSizes(train=1000, expert=61, dev=43, dev_ood=1, test=57, ood=1)
    splits = own(config(tmp_path, queries), sizes, 3).splits
    assert {split: len(splits[split]) for split in ("expert", "dev", "test")} == {"expert": 61, "dev": 43, "test": 57}
    assert sum(map(len, splits.values())) == 400
    of = {split: {r.template for r in part} for split, part in splits.items()}
    assert sum(map(len, of.values())) == len(set().union(*of.values())), "a template is in one split alone"


@pytest.mark.parametrize("name", ["q45", "q60", "q999"])
def test_a_verdict_on_a_row_without_label_is_refused_by_line(tmp_path, name):
    cfg = judged(tmp_path, {"id": "v", "example": name, "reply": "?", "correct": False})
    with pytest.raises(UserError, match=rf"verdicts.jsonl, line 1: field 'example': no labelled .*{name!r}"):
        own(cfg, SIZES, 0)


def test_broken_files_are_named(tmp_path):
    cfg = config(tmp_path, rows())
    (tmp_path / "queries.jsonl").write_text('{"id": "q0", "query": "x"}\n{broken')
    with pytest.raises(UserError, match=r"queries.jsonl, line 2: not a JSON value"):
        own(cfg, SIZES, 0)
    (tmp_path / "functions.json").write_text('[{"type": "function", "function": {"description": "no name"}}]')
    with pytest.raises(UserError, match=r"functions.json, entry 0: field 'name': missing"):
        own(cfg, SIZES, 0)


def test_too_few_labels_is_a_clear_error(tmp_path):
    with pytest.raises(UserError, match="only 0 labelled templates"):
        own(config(tmp_path, [row(n, None) for n in range(9)]), SIZES, 0)


def test_a_missing_file_names_its_parameter(tmp_path):
    cfg = config(tmp_path, rows())
    (tmp_path / "queries.jsonl").unlink()
    with pytest.raises(UserError, match=r"params.yaml: dataset.own.queries: .*queries.jsonl does not exist"):
        own(cfg, SIZES, 0)


def test_any_first_rows_of_ood_mix_seen_and_unseen(tmp_path):
    """65 and 35 in a hundred: of the first n rows, .35 n are seen, within one."""
    queries = [row(n, ("brew", "grind", "clean")[n % 3]) for n in range(200)]
    queries += [row(n, "heat", tags=["unseen"]) for n in range(200, 300)]
    cfg = config(tmp_path, queries)
    sizes = DatasetSizes(train=100, expert=4, dev=4, dev_ood=30, test=50, ood=100)
    ood = own(cfg, sizes, 0).splits["ood"]
    assert (len(ood), sum("seen" in r.tags for r in ood)) == (100, 35)
    for n in range(1, 101):
        assert abs(sum("seen" in r.tags for r in ood[:n]) - 0.35 * n) <= 1
    assert ood == own(cfg, sizes, 0).splits["ood"] != own(cfg, sizes, 1).splits["ood"]
    unseen = [r.id for r in ood if "unseen" in r.tags]
    assert unseen != sorted(unseen), "the file's order is not kept"


def with_new(refused: int = 0) -> list[dict]:
    """200 labelled rows, some of them refused, and 60 of a function held out for ood and for dev_ood each."""
    queries = [row(n, ("brew", "grind", "clean")[n % 3]) for n in range(200)]
    queries += [row(n, None, answers=["No appropriate function"]) for n in range(200, 200 + refused)]
    queries += [row(n, "heat", tags=["unseen"]) for n in range(300, 360)]
    return queries + [row(n, "froth", tags=["mine", "unseen_dev"]) for n in range(400, 460)]


def test_rows_tagged_unseen_dev_are_dev_ood_and_lists_are_prefixes_of_each_other(tmp_path):
    sizes = DatasetSizes(train=1000, expert=20, dev=40, dev_ood=30, test=50, ood=100)
    dataset = own(config(tmp_path, with_new()), sizes, 0)
    assert [r.answers[0].name for r in dataset.splits["dev_ood"]] == ["froth"] * 30
    assert {r.tags for r in dataset.splits["dev_ood"]} == {("mine", "unseen")}
    offered = {split: {r.candidates for r in part} for split, part in dataset.splits.items()}
    domain = ("brew", "grind", "clean")
    assert offered == {
        **{split: {domain} for split in ("train", "expert", "dev", "test")},
        "dev_ood": {(*domain, "froth")},
        "ood": {(*domain, "froth", "heat")},
    }
    assert tuple(dataset.pool) == (*domain, "froth", "heat")
    called = {r.answers[0].name for split in ("train", "expert", "dev", "test") for r in dataset.splits[split]}
    assert called == set(domain)


def test_splits_of_new_functions_get_refusals_as_the_others_have_them_tagged_neither_seen_nor_unseen(tmp_path):
    sizes = DatasetSizes(train=1000, expert=20, dev=60, dev_ood=50, test=60, ood=50)
    splits = own(config(tmp_path, with_new(refused=60)), sizes, 0).splits
    for split, like in (("dev_ood", "dev"), ("ood", "test")):
        share = sum(not isinstance(r.answers[0], Call) for r in splits[like]) / len(splits[like])
        refused = [r for r in splits[split] if not isinstance(r.answers[0], Call)]
        assert share > 0.1 and abs(len(refused) - share * len(splits[split])) <= 1
        assert {r.tags for r in refused} == {("refusal",)}
        calls = [r for r in splits[split] if isinstance(r.answers[0], Call)]
        assert all(("unseen" in r.tags) == (r.answers[0].name in ("heat", "froth")) for r in calls)
        assert all(("seen" in r.tags) != ("unseen" in r.tags) for r in calls)
        assert len({r.id for r in splits[split]}) == len(splits[split])


def test_with_the_oracle_unlabelled_rows_are_offered_nothing_and_own_candidates_stay(tmp_path):
    queries = rows()
    queries[0] |= {"candidates": ["grind", "brew"]}
    for lists, unlabelled in (("pool", ("froth", "brew", "grind", "clean")), ("oracle", ())):
        cfg = config(tmp_path, queries)
        cfg.lists = lists
        found = {r.id: r for part in own(cfg, SIZES, 0).splits.values() for r in part}
        assert found["q0"].candidates == ("grind", "brew")
        assert {found[f"q{n}"].candidates for n in range(40, 60)} == {unlabelled}


def test_all_rows_of_a_function_are_tagged_alike(tmp_path):
    queries = [*with_new(), row(500, "heat", tags=["unseen_dev"])]
    with pytest.raises(UserError, match=r"id 'q\d+': field 'answers': 'heat' is also called by a row tagged unseen"):
        own(config(tmp_path, queries), SIZES, 0)


def test_a_row_to_measure_on_has_a_label(tmp_path):
    with pytest.raises(UserError, match="id 'q500': field 'answers': a row tagged unseen or unseen_dev is one to"):
        own(config(tmp_path, [*with_new(), row(500, None, tags=["unseen_dev"])]), SIZES, 0)


def explained(tmp_path, knowledge, queries: list[dict]):
    (tmp_path / "knowledge.json").write_text(json.dumps(knowledge))
    cfg = config(tmp_path, queries)
    cfg.own.knowledge = str(tmp_path / "knowledge.json")
    return cfg


def test_explanations_of_a_querys_terms_join_those_that_its_row_brings(tmp_path):
    queries = rows()
    queries[0] |= {"query": "wake THE BEAST", "knowledge": ["a note"], "tags": ["mine"]}
    queries[1] |= {"query": "wake the beast, the beast", "knowledge": ["the beast: the grinder"]}
    queries[2] |= {"query": "a beastly day", "history": [{"query": "the beast", "answer": "Request unclear"}]}
    entry = {"term": "the beast", "explanation": "the beast: the grinder"}
    dataset = own(explained(tmp_path, [entry], queries), SIZES, 0)
    assert dataset.knowledge == [("the beast", "the beast: the grinder")]
    found = {r.id: (r.knowledge, r.tags) for part in ("train", "expert", "dev", "test") for r in dataset.splits[part]}
    assert found["q0"] == (("a note", "the beast: the grinder"), ("mine", "knowledge"))
    assert found["q1"] == (("the beast: the grinder",), ("knowledge",))
    assert found["q2"] == found["q3"] == ((), ())
    for r in dataset.splits["test"]:
        assert set(r.knowledge) >= set(lookup(r.query, dataset.knowledge))


@pytest.mark.parametrize(
    ("knowledge", "message"),
    [
        ({"term": "x"}, r"knowledge.json: expected a list of"),
        (["x"], r"knowledge.json, entry 0: expected an object, got str"),
        ([{"term": "x"}], r"knowledge.json, entry 0: field 'explanation': missing"),
        ([{"term": " ", "explanation": "y"}], r"knowledge.json, entry 0: field 'term': expected a text, got ' '"),
        ([{"term": "x", "explanation": 3}], r"knowledge.json, entry 0: field 'explanation': expected a text, got 3"),
        ([{"term": t, "explanation": "y"} for t in ("x", "X")], r"entry 1: field 'term': 'X' stands there twice"),
    ],
)
def test_a_broken_knowledge_base_is_named_by_entry_and_field(tmp_path, knowledge, message):
    with pytest.raises(UserError, match=message):
        own(explained(tmp_path, knowledge, rows()), SIZES, 0)


def test_a_missing_knowledge_base_names_its_parameter(tmp_path):
    cfg = explained(tmp_path, [], rows())
    (tmp_path / "knowledge.json").unlink()
    with pytest.raises(UserError, match=r"params.yaml: dataset.own.knowledge: .*knowledge.json does not exist"):
        own(cfg, SIZES, 0)
