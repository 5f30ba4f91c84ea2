"""From a base model to smaller ones in process: of a given shape, or the best within a budget."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from stages import shrink
from supertiny.compress import shrink as shrink_module
from supertiny.core.errors import UserError
from supertiny.model.checkpoint import encoder, load_config, load_model, load_tokenizer
from supertiny.model.flops import ModelShape, parameters
from tests.project import TOP, bytes_of, have_base, have_dataset, smoke_project

DATA, MODELS = Path("data/dataset"), Path("data/models")
TEXTS = TOP / "data/general/instructions.jsonl"
WITHIN = {"base": "student", "calibration_packs": 4, "score_packs": 2}
SHAPED = WITHIN | {"trim_vocabulary": False}
RANDOM = "hidden_size=32,num_hidden_layers=3,num_attention_heads=2,num_key_value_heads=1,intermediate_size=48"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a base model of four blocks."""

    def change(params, profile):
        params["pack"] |= {"group_size": 3, "function_dropout": 0.3}
        params["shrink"] |= {"granularity": {"hidden": 16, "inter": 32}, "groups": {"hidden": 16, "inter": 1}}
        params["trained"]["shrink"] = {
            "all": WITHIN | {"of": "bytes", "share": 1.0},
            "p30": WITHIN | {"of": "parameters", "share": 0.7},
            "wide": WITHIN | {"of": "gflops", "share": 0.8, "axes": ["width"]},
            "trimmed": WITHIN,
            "spelling": WITHIN | {"general_texts": True},
            "half": SHAPED | {"blocks": 0.5},
            "narrow": SHAPED | {"channels": 0.75},
            "both": SHAPED | {"blocks": 0.5, "channels": 0.75},
            "random": WITHIN | {"init": RANDOM},
            "everything": SHAPED,
            "unclear": WITHIN | {"of": "bytes", "share": 0.7, "blocks": 0.5},
        }
        profile["sizes"]["sft"] = {"examples": 24, "dev_examples": 6}
        sizes = profile["base"]["student"].replace("num_hidden_layers=2", "num_hidden_layers=4")
        profile["base"]["student"] = f"{sizes},vocab_size=384"

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("student")
        yield folder


def shrunk(name, out=None):
    """What is said of the search."""
    search = Path(f"data/results/{out or name}/search.json")
    paths = {"rows": DATA / "train.reference.jsonl", "data": DATA, "texts": TEXTS, "search": search}
    shrink.main(name, MODELS / "student", **paths, out=MODELS / (out or name))
    return json.loads(search.read_text())


def shape(name):
    config = load_config(MODELS / name)
    return config.num_hidden_layers, config.hidden_size, config.intermediate_size


def test_the_best_of_the_search_is_written_and_twice_to_the_same_bytes(project):
    table = shrunk("p30")
    assert table["searched"] and len(table["importance"]) == 4 and min(table["importance"]) > 0
    assert table["budget"] == "0.7 of the base's parameters"
    assert set(table["base"]) == {"layers", "hidden", "inter", "parameters_m", "gflops", "perplexity"}
    rows, config = table["rows"], load_config(MODELS / "p30")
    best = min(rows, key=lambda row: row["perplexity"])
    assert len(rows) > 2 and [row["chosen"] for row in rows].count(True) == 1 and best["chosen"]
    assert shape("p30") == (best["layers"], best["hidden"], best["inter"])
    weights = parameters(ModelShape.from_config(config), config.tie_word_embeddings)
    whole = load_config(MODELS / "student")
    whole.vocab_size = config.vocab_size
    assert weights <= 0.7 * parameters(ModelShape.from_config(whole), whole.tie_word_embeddings)
    assert all(row["parameters_m"] <= 0.7 * table["base"]["parameters_m"] + 1e-3 for row in rows)
    assert shrunk("p30", "again") == table
    assert bytes_of(MODELS / "again") == bytes_of(MODELS / "p30")


def test_width_alone_keeps_all_blocks_and_what_is_written_loads(project):
    table = shrunk("wide")
    assert {row["layers"] for row in table["rows"]} == {4}
    assert all(row["gflops"] <= 0.8 * table["base"]["gflops"] + 1e-3 for row in table["rows"])
    model, tokenizer = (kind.from_pretrained(MODELS / "wide") for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert model.config.head_dim == 16 and model.config.vocab_size == len(tokenizer)
    ids = tokenizer("Query: turn on the light", add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        assert torch.equal(model(ids).logits, load_model(MODELS / "wide")(ids).logits)
    model.generate(ids, max_new_tokens=3, do_sample=False)


def test_a_budget_of_all_is_the_base_with_fewer_tokens(project):
    table = shrunk("all")
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
    assert shrunk("trimmed") == {"searched": False}
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


@pytest.mark.parametrize(("name", "spelt"), [("trimmed", False), ("spelling", True)])
def test_tokens_of_general_texts_stay_where_they_are_asked_for(project, monkeypatch, name, spelt):
    kept, trim = [], shrink_module.trim_vocabulary

    def spy(model, tokenizer, texts):
        kept.extend(text if isinstance(text, str) else tokenizer.decode(text) for text in texts)
        return trim(model, tokenizer, texts)

    monkeypatch.setattr(shrink_module, "trim_vocabulary", spy)
    shrunk(name, "spied")
    assert any("Query: " in text for text in kept)
    answer = json.loads(TEXTS.read_text().splitlines()[0])["answer"]
    assert any(answer in text for text in kept) == spelt


@pytest.mark.parametrize(("name", "left"), [("half", (2, 64, 128)), ("narrow", (4, 64, 96)), ("both", (2, 64, 96))])
def test_a_given_shape_keeps_the_blocks_and_channels_that_matter_most(project, name, left):
    """What stays are rows of the base, in its order."""
    assert shrunk(name) == {"searched": False}
    assert shape(name) == left
    base, small = (load_model(MODELS / one).model for one in ("student", name))
    assert torch.equal(small.embed_tokens.weight, base.embed_tokens.weight)
    places = []
    for block in small.layers:
        rows = {tuple(row) for row in block.mlp.up_proj.weight.tolist()}
        (at,) = [
            at for at, one in enumerate(base.layers) if rows <= {tuple(r) for r in one.mlp.up_proj.weight.tolist()}
        ]
        places.append(at)
    assert places == sorted(set(places))
    shrunk(name, "again")
    assert bytes_of(MODELS / "again") == bytes_of(MODELS / name)


def test_a_random_model_has_the_shape_that_is_asked_for_and_the_trimmed_tokens_of_the_base(project):
    assert shrunk("random") == {"searched": False}
    assert shape("random") == (3, 32, 48)
    shrunk("trimmed")
    vocabularies = [load_tokenizer(MODELS / name).get_vocab() for name in ("trimmed", "random")]
    assert vocabularies[0] == vocabularies[1]
    assert load_config(MODELS / "random").vocab_size == len(vocabularies[0])
    shrunk("random", "again")
    assert bytes_of(MODELS / "again") == bytes_of(MODELS / "random")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("p50", "section 'trained.shrink.p50' is missing"),
        ("everything", r"trained\.shrink: everything would be all of .*student: set blocks, channels, init or trim"),
        ("unclear", r"params\.yaml: trained\.shrink\.unclear: blocks: must be 1 where of gives the shape"),
    ],
)
def test_an_entry_that_makes_no_smaller_model_is_refused(project, name, message):
    with pytest.raises(UserError, match=message):
        shrunk(name)
    assert not (MODELS / name).exists()
