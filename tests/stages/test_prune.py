"""From a base model to pruned ones in process: scores once, a table a budget, folders that transformers loads."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from stages import base, dataset, importance, prune, trim
from supertiny.core.errors import UserError
from supertiny.model.checkpoint import encoder, load_config, load_model, load_tokenizer
from supertiny.model.flops import ModelShape, parameters
from tests.project import TOP, bytes_of, smoke_project

DATA, MODELS = Path("data/dataset"), Path("data/models")
LEARNING = {
    "base": MODELS / "student",
    "functions": DATA / "functions.json",
    "examples": DATA / "train.reference.jsonl",
    "dev": DATA / "dev.jsonl",
}
SCORES = Path("data/results/importance.json")
TEXTS = TOP / "data/general/instructions.jsonl"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a base model of four blocks and its scores."""

    def change(params, profile):
        params["pack"] = {"group_size": 3, "function_dropout": 0.3, "renaming": 0.3}
        params["prune"] = {
            "base": "student",
            "calibration_packs": 4,
            "score_packs": 2,
            "granularity": {"hidden": 16, "inter": 32},
            "groups": {"hidden": 16, "inter": 1},
            "own_inter": True,
            "trim_vocabulary": True,
        }
        params["pruned"] = {
            "all": {"of": "bytes", "share": 1.0, "at_most": None, "axes": ["depth", "width"]},
            "p30": {"of": "parameters", "share": 0.7, "at_most": None, "axes": ["depth", "width"]},
            "wide": {"of": "gflops", "share": 0.8, "at_most": None, "axes": ["width"]},
        }
        profile["sft"] = {"examples": 24, "dev_examples": 6}
        sizes = profile["models"]["student"].replace("num_hidden_layers=2", "num_hidden_layers=4")
        profile["models"]["student"] = f"{sizes},vocab_size=384"

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        dataset.main(DATA)
        base.main("student", MODELS / "student", MODELS / "student.json")
        importance.main(**LEARNING, out=SCORES)
        yield folder


def pruned(name, out=None, **paths):
    """The search's table."""
    table = Path(f"data/results/{out or name}/search.json")
    given = LEARNING | {"importance": SCORES, "queries": DATA / "train.jsonl", "search": table, "texts": TEXTS} | paths
    prune.main(name, **given, out=MODELS / (out or name))
    return json.loads(table.read_text())


def test_the_best_of_the_search_is_written_and_twice_to_the_same_bytes(project):
    table = pruned("p30")
    assert table["budget"] == "0.7 of the base's parameters"
    assert set(table["base"]) == {"layers", "hidden", "inter", "parameters_m", "gflops", "perplexity"}
    rows, config = table["rows"], load_config(MODELS / "p30")
    best = min(rows, key=lambda row: row["perplexity"])
    assert len(rows) > 2 and [row["chosen"] for row in rows].count(True) == 1 and best["chosen"]
    shape = config.num_hidden_layers, config.hidden_size, config.intermediate_size
    assert shape == (best["layers"], best["hidden"], best["inter"])
    weights = parameters(ModelShape.from_config(config), config.tie_word_embeddings)
    whole = load_config(MODELS / "student")
    whole.vocab_size = config.vocab_size
    assert weights <= 0.7 * parameters(ModelShape.from_config(whole), whole.tie_word_embeddings)
    assert all(row["parameters_m"] <= 0.7 * table["base"]["parameters_m"] + 1e-3 for row in rows)
    pruned("p30", "again")
    assert bytes_of(MODELS / "again") == bytes_of(MODELS / "p30")
    importance.main(**LEARNING, out=Path("data/again.json"))
    assert Path("data/again.json").read_bytes() == SCORES.read_bytes()


def test_width_alone_keeps_all_blocks_and_what_is_written_loads(project):
    table = pruned("wide")
    assert {row["layers"] for row in table["rows"]} == {4}
    assert all(row["gflops"] <= 0.8 * table["base"]["gflops"] + 1e-3 for row in table["rows"])
    model, tokenizer = (kind.from_pretrained(MODELS / "wide") for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert model.config.head_dim == 16 and model.config.vocab_size == len(tokenizer)
    ids = tokenizer("Query: turn on the light", add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        assert torch.equal(model(ids).logits, load_model(MODELS / "wide")(ids).logits)
    model.generate(ids, max_new_tokens=3, do_sample=False)


def test_a_budget_of_all_is_the_base_with_fewer_tokens(project):
    table = pruned("all")
    assert [row["chosen"] for row in table["rows"]] == [True]
    assert table["rows"][0]["perplexity"] == table["base"]["perplexity"]
    found = []
    for name in ("student", "all"):
        model, encode = load_model(MODELS / name), encoder(load_tokenizer(MODELS / name))
        with torch.inference_mode():
            found.append(model.base_model(torch.tensor([encode("turn on the light")])).last_hidden_state)
    assert torch.equal(*found)
    assert load_config(MODELS / "all").vocab_size < load_config(MODELS / "student").vocab_size


def test_trimmed_says_what_its_base_says_with_fewer_tokens(project):
    trim.main(MODELS / "student", *list(LEARNING.values())[1:], DATA / "train.jsonl", MODELS / "trimmed")
    tokenizers, logits = [], []
    for name in ("student", "trimmed"):
        model, tokenizer = load_model(MODELS / name), load_tokenizer(MODELS / name)
        with torch.inference_mode():
            logits.append(model(torch.tensor([encoder(tokenizer)("turn on the light")])).logits)
        tokenizers.append(tokenizer)
    whole, small = tokenizers
    kept = whole.convert_tokens_to_ids(small.convert_ids_to_tokens(range(len(small))))
    assert load_config(MODELS / "trimmed").vocab_size == len(kept) < load_config(MODELS / "student").vocab_size
    # to rounding: a product with fewer rows may add up in another order
    torch.testing.assert_close(logits[1], logits[0][..., kept])


def test_an_unknown_name_lists_the_known(project):
    with pytest.raises(UserError, match="section 'pruned.p50' is missing"):
        pruned("p50")


def test_scores_of_another_base_are_refused_before_any_work(project):
    scores = json.loads(SCORES.read_text())
    scores |= {name: scores[name][:2] for name in ("layers", "inter")}
    Path("data/other.json").write_text(json.dumps(scores))
    with pytest.raises(UserError, match=r"\(2, 64, 128\), the base has \(4, 64, 128\)"):
        pruned("p30", "other", importance=Path("data/other.json"))
    assert not (MODELS / "other").exists()
