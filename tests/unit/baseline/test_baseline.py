"""What the traditional system reads, where it finds values, what it is taught, and what it makes of tags."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from supertiny.baseline.config import BaselineConfig, BaselineSizes, PartConfig
from supertiny.baseline.frames import Frame, from_frame
from supertiny.baseline.labels import (
    Reading,
    Target,
    align,
    domains,
    frame_rows,
    intents,
    name_of,
    read,
    slot_tags,
    targets,
    token_spans,
    value_of,
)
from supertiny.baseline.parts import Domain, by_domain, known_domains, parts, read_domains, write_domains
from supertiny.baseline.system import Traditional, best_spans, whole_words
from supertiny.core.calls import Call, Function, Parameter, Refusal, answer_text
from supertiny.core.errors import UserError
from supertiny.core.records import Example, Turn
from supertiny.judge.meaning import same
from supertiny.model.config import FitConfig
from supertiny.model.encoder import NONE, HeadedEncoder, TextBatch, collate, loss

POOL = {
    "dim": Function(
        "dim", "", {"name": Parameter("string"), "area": Parameter("string"), "level": Parameter("integer")}, "light"
    ),
    "open": Function("open", "", {"kind": Parameter("string", enum=("blind", "awning"))}, "cover"),
    "add": Function("add", "", {"items": Parameter("array"), "loud": Parameter("boolean")}),
}


def example(query, answer, **rest):
    return Example(id=query, query=query, candidates=tuple(POOL), answers=(answer,), **rest)


def said(row):
    """The aligned words of each parameter, and what is nowhere said."""
    reading = read(row, POOL, 1)
    found, unsaid = align(row.answers[0], reading)
    return [(name, reading.text[slice(*span)]) for name, span in found], unsaid


def test_the_query_comes_first_then_room_knowledge_and_the_latest_turns_with_their_frames():
    row = example(
        "it off",
        Call("dim", {}),
        context={"room": "hall"},
        knowledge=("Bo: a lamp",),
        history=(Turn("one", Refusal.UNCLEAR), Turn("two", Call("dim", {"level": 5}))),
    )
    assert read(row, POOL, 1).text == "it off | room: hall | Bo: a lamp | Earlier: two -> dim, level 5"
    assert read(row, POOL, 2).text == (
        "it off | room: hall | Bo: a lamp | Earlier: two -> dim, level 5 | Earlier: one -> unclear"
    )
    assert read(row, POOL, 0).text == "it off | room: hall | Bo: a lamp"


@pytest.mark.parametrize(
    ("query", "arguments", "rest", "found", "unsaid"),
    [
        ("Dim Bo's Lamp to fifty percent", {"name": "Bo's lamp", "level": 50}, {}, ["Bo's Lamp", "fifty"], {}),
        ("hall lamp in the hall", {"area": "hall", "name": "hall lamp"}, {}, ["hall lamp", "hall"], {}),
        ("dim here", {"area": "hall"}, {"context": {"room": "hall"}}, ["hall"], {}),
        ("hall here", {"area": "hall"}, {"context": {"room": "hall"}}, ["hall"], {}),
        ("dim Bo", {"name": "desk lamp"}, {"knowledge": ("Bo: the desk lamp, a light",)}, ["desk lamp"], {}),
        ("twenty-one please", {"level": 21}, {}, ["twenty-one"], {}),
        ("twenty one, please", {"level": 21}, {}, ["twenty one"], {}),
        ("5 of 50%.", {"level": 50}, {}, ["50"], {}),
        ("half of it", {"level": 50, "area": "attic"}, {}, [], {"level": 50, "area": "attic"}),
        ("把客厅的灯调到50", {"area": "客厅", "level": 50}, {}, ["客厅", "50"], {}),
        ("打开LED灯", {"name": "LED 灯"}, {}, ["LED灯"], {}),
        ("거실의 불", {"area": "거실"}, {}, ["거실"], {}),
        ("เปิดไฟห้องนอน", {"area": "ห้องนอน"}, {}, ["ห้องนอน"], {}),
    ],
)  # fmt: skip
def test_a_value_is_found_where_it_is_said(query, arguments, rest, found, unsaid):
    words, missing = said(example(query, Call("dim", arguments), **rest))
    assert ([word for _, word in words], missing) == (found, unsaid)


def test_the_query_is_preferred_to_the_room_and_to_earlier_turns():
    row = example("hall light", Call("dim", {"area": "hall"}), context={"room": "hall"})
    (_, span), = align(row.answers[0], read(row, POOL, 1))[0]  # fmt: skip
    assert span == (0, 4)


def test_a_list_is_said_only_where_all_of_its_items_are():
    assert said(example("add milk and rye", Call("add", {"items": ["rye", "milk"]})))[0] == [
        ("items", "milk"), ("items", "rye"),
    ]  # fmt: skip
    assert said(example("add milk", Call("add", {"items": ["rye", "milk"]}))) == ([], {"items": ["rye", "milk"]})
    assert said(example("add it", Call("add", {"items": [], "loud": True}))) == ([], {"items": [], "loud": True})


@given(st.lists(st.sampled_from(["a", "red", "lamp", "two", "7", "%", "kitchen"]), min_size=1, max_size=8), st.data())
def test_what_is_aligned_means_the_value_and_shares_no_word(words, data):
    values = st.sampled_from(["red", "lamp two", "lamp 2", "Kitchen"])
    arguments = data.draw(
        st.fixed_dictionaries({}, optional={"name": values, "area": values, "level": st.integers(0, 9)})
    )
    row = example(" ".join(words), Call("dim", arguments))
    reading = read(row, POOL, 1)
    found, unsaid = align(row.answers[0], reading)
    assert {name for name, _ in found} | set(unsaid) == set(arguments)
    assert not {name for name, _ in found} & set(unsaid)
    spans = sorted(span for _, span in found)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
    for name, span in found:
        assert same(arguments[name], reading.text[slice(*span)])


@pytest.mark.parametrize(
    ("texts", "parameter", "slot"),
    [
        (["eighty", "9"], Parameter("integer"), "80"),
        (["21.5 degrees"], Parameter("number"), "21.5"),
        (["21.5"], Parameter("integer"), None),
        (["soon"], Parameter("integer"), None),
        (["true"], Parameter("boolean"), "true"),
        (["yes"], Parameter("boolean"), None),
        (["the Blind"], Parameter("string", enum=("awning", "blind")), "blind"),
        (["door"], Parameter("string", enum=("awning", "blind")), None),
        (["2"], Parameter("integer", enum=(1, 2)), "2"),
        (["a|b", "c"], Parameter("array"), "a\\|b|c"),
        (["fifty", "9"], Parameter("array", items=Parameter("integer")), "50|9"),
        (["the Tuesday", "noday"], Parameter("array", items=Parameter("string", enum=("tuesday",))), "tuesday"),
        (["noday"], Parameter("array", items=Parameter("string", enum=("tuesday",))), None),
    ],
)
def test_words_become_slots_by_the_schema(texts, parameter, slot):
    assert value_of(texts, parameter) == slot


def test_a_value_nobody_says_is_part_of_the_intent():
    rows = [example("open the blinds", Call("open", {"kind": "blind"}))] * 3
    rows += [
        example("open the awnings", Call("open", {"kind": "awning"})),
        example("dim to 5", Call("dim", {"level": 5})),
    ]
    found = targets(rows, POOL, 1)
    blind = answer_text(Call("open", {"kind": "blind"}))
    assert intents(found, 2) == sorted([blind, answer_text(Call("dim"))])  # one awning is too few
    assert len(intents(found, 1)) == 3
    assert [name_of(intent) for intent in (blind, answer_text(Call("dim")))] == ["open", "dim"]
    assert slot_tags(found) == ["O", "B-level", "I-level"]


def test_domains_are_those_of_the_pool_and_the_refusals():
    assert domains(POOL) == ["cover", "light", "other", "No appropriate function", "Request unclear"]


def test_a_refusal_for_lack_of_a_function_is_not_learned():
    """Its query needs a function that was not offered, and the system knows what is installed."""
    no = Refusal.NO_FUNCTION
    rows = [example("sing", no, tags=("out_of_scope",)), example("dim", no, tags=("missing_function",))]
    assert [target.reading.text for target in targets(rows, POOL, 1)] == ["sing"]


def test_every_token_of_a_value_is_tagged_and_special_ones_are_not_learned(tokenizer):
    """The byte tokenizer: one token a character; "55" at 7..9 is B I."""
    found = targets([example("dim to 55", Call("dim", {"level": 55}))], POOL, 1)
    labels, tags = intents(found, 1), slot_tags(found)
    (row,) = frame_rows(found, labels, tags, tokenizer)
    spans = token_spans(row.text, tokenizer)
    assert row.label == labels.index(answer_text(Call("dim")))
    assert len(row.tags) == len(spans) == collate(tokenizer, [row]).ids.shape[1]
    named = [
        (row.text[slice(*span)], "" if tag == NONE else tags[tag]) for span, tag in zip(spans, row.tags, strict=True)
    ]
    assert [one for one in named if one[1] not in ("O", "")] == [("5", "B-level"), ("5", "I-level")]
    assert frame_rows(found, [], tags, tokenizer) == [] == frame_rows(found, labels, ["O"], tokenizer)


def classifier_of(folder, encoder, chosen):
    """A classifier in a baseline folder that sees one domain everywhere."""
    scorer = HeadedEncoder(encoder, domains(POOL))
    with torch.no_grad():
        scorer.heads["label"].bias[scorer.labels.index(chosen)] = 1e6
    (folder / "domain").mkdir(parents=True)
    scorer.save(folder / "domain")


@pytest.mark.parametrize(
    ("chosen", "reply"),
    [
        ("cover", Call("open", {"kind": "blind"})),  # its one label, with the slot that nobody says
        ("other", Refusal.NO_FUNCTION),  # `add` is not offered
        ("light", Refusal.NO_FUNCTION),  # nothing was trained there
        ("Request unclear", Refusal.UNCLEAR),
    ],
)
def test_where_no_encoder_is_needed_the_classifier_alone_answers(tmp_path, tiny_folder, chosen, reply):
    classifier_of(tmp_path, tiny_folder, chosen)
    labels = {"cover": Call("open", {"kind": "blind"}), "other": Call("add")}
    write_domains(tmp_path, {name: Domain([answer_text(call)], None) for name, call in labels.items()})
    (one,) = Traditional(tmp_path, POOL, 1).answer([Example(id="1", query="raise it", candidates=("open", "dim"))])
    assert (one.reply, one.passes) == (reply, 1)


TAGS = ["O", "B-name", "I-name", "B-level", "I-level"]
TEXT = "dim desk lamp 5 9"
SPANS = [(0, 0), (0, 3), (4, 8), (9, 13), (14, 15), (16, 17), (0, 0)]


def scored(*best, sure=None):
    """Log-probabilities under which each token has its given tag, the surer the larger."""
    scores = torch.full((len(best), len(TAGS)), -9.0)
    for at, tag in enumerate(best):
        scores[at, TAGS.index(tag)] = -0.1 if sure is None else sure[at]
    return scores


def test_tags_become_spans_the_surest_first():
    tags = scored("B-name", "O", "B-name", "I-name", "B-level", "B-level", "O", sure=[-1, -1, -1, -1, -2, -0.5, -1])
    assert best_spans(tags, TAGS, ["name", "level"], SPANS) == {"level": [(16, 17), (14, 15)], "name": [(4, 13)]}
    assert best_spans(tags, TAGS, ["name"], SPANS) == {"name": [(4, 13)]}
    assert best_spans(tags, TAGS, [], SPANS) == {}


def test_an_inside_tag_that_follows_nothing_begins_a_span():
    tags = scored("O", "O", "I-name", "I-level", "I-level", "O", "O")
    assert best_spans(tags, TAGS, ["name", "level"], SPANS) == {"name": [(4, 8)], "level": [(9, 15)]}


@given(st.text(st.characters(categories=["Lu", "Ll", "Nd", "Zs", "Po"]), min_size=1), st.data())
def test_whole_words_only_ever_adds_letters_and_digits(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    whole = whole_words(text, (start, end))
    assert text[start:end].strip() in whole and whole in text
    assert whole_words("the thermostat, please", (6, 9)) == "thermostat"
    assert whole_words("请把客厅的灯打开", (2, 4)) == "客厅" and whole_words("打开LED灯", (3, 4)) == "LED"


def test_frames_that_training_aims_at_are_the_reference_calls():
    """Labels and tags, read back by the decoder's own means, give the call they were made from."""
    call = Call("dim", {"name": "desk lamp", "level": 5})
    slots = {"name": value_of(["Desk Lamp"], Parameter("string")), "level": value_of(["five"], Parameter("integer"))}
    back = from_frame(Frame("light", "dim", slots), POOL)
    assert back.name == call.name and all(same(back.arguments[name], call.arguments[name]) for name in call.arguments)


def batch(targets_B, tags_BT):
    shape = (len(tags_BT), len(tags_BT[0]))
    return TextBatch(torch.zeros(shape), torch.ones(shape), torch.tensor(targets_B), torch.tensor(tags_BT))


def test_the_loss_is_that_of_the_whole_frame():
    """Uniform scores over 4 labels and 2 tags, 3 tokens to learn: ln 4 + 3 ln 2 = 5 ln 2."""
    scores = {"label": torch.zeros(1, 4), "tag": torch.zeros(1, 4, 2)}
    one = batch([2], [[NONE, 0, 1, 0]])
    assert float(loss(scores, one)) == pytest.approx(5 * 0.6931472)
    assert float(loss({"label": scores["label"]}, one)) == pytest.approx(2 * 0.6931472)


FIT = FitConfig(learning_rate=1e-3, warmup_share=0.1, schedule="linear", weight_decay=0.0, max_grad_norm=1.0)


def part(**changes):
    return PartConfig(**{"epochs": 2, "min_steps": 1, "texts_a_step": 2, "fit": FIT} | changes)


CONFIG = BaselineConfig(min_count=2, domain=part(), all_domains=part(epochs=2), frame=part(epochs=3))


@given(st.integers(1, 500), st.integers(1, 9), st.integers(1, 99), st.integers(1, 40))
def test_no_part_takes_fewer_steps_than_asked_and_none_passes_its_examples_in_vain(rows, epochs, min_steps, a_step):
    """The passes are the fewest that reach both bounds: with one pass less, one of them is missed."""
    passes = part(epochs=epochs, min_steps=min_steps, texts_a_step=a_step).epochs_of(rows)
    steps = (rows + a_step - 1) // a_step
    assert passes >= epochs and passes * steps >= min_steps
    assert passes - 1 < epochs or (passes - 1) * steps < min_steps


BLINDS = [example(f"{word} the blinds", Call("open", {"kind": "blind"})) for word in ("open", "raise")]
ROWS = [
    *BLINDS,
    example("dim to 5", Call("dim", {"level": 5})),
    example("dim it", Call("dim")),
    example("louder", Call("add", {"loud": True})),
    example("sing", Refusal.NO_FUNCTION, tags=("out_of_scope",)),
]


def test_a_domain_has_an_encoder_only_where_there_is_something_to_tell_apart():
    """cover: one label, the unsaid `blind`, no slot. light: a slot. other: its one label is rarer than 2."""
    found = targets([replace(row, query=row.query.replace("blinds", "shades")) for row in ROWS], POOL, 1)
    blind = answer_text(Call("open", {"kind": "blind"}))
    assert known_domains(found, 2) == {
        "cover": Domain([blind], None), "light": Domain([answer_text(Call("dim"))], "frame-light"),
    }  # fmt: skip
    assert known_domains(found, 1)["other"] == Domain([answer_text(Call("add", {"loud": True}))], None)
    assert known_domains(found, 3).keys() == {"light"}


def test_each_model_learns_the_calls_of_its_domain_alone_and_the_classifier_all(tokenizer):
    found = targets([*ROWS, example("open it", Call("open"))], POOL, 1)
    classifier, shared, cover, light = parts(found, found[:4], POOL, tokenizer, CONFIG)
    assert (classifier.name, cover.name, light.name) == ("domain", "frame-cover", "frame-light")
    assert classifier.labels == domains(POOL) and len(classifier.rows) == len(found)
    assert [row.text for row in cover.rows] == ["open the blinds", "raise the blinds", "open it"]
    assert [row.text for row in light.rows] == ["dim to 5", "dim it"] == [row.text for row in light.dev_rows]
    assert light.tags == ["O", "B-level", "I-level"]
    assert (classifier.cfg, shared.cfg, cover.cfg) == (CONFIG.domain, CONFIG.all_domains, CONFIG.frame)
    assert shared.labels == [*cover.labels, *light.labels]
    assert {row.text for row in [*cover.rows, *light.rows]} <= {row.text for row in shared.rows}
    assert (cover.start, light.start, shared.start) == ("frame", "frame", None)


@given(st.lists(st.sampled_from(["light", "cover", "No appropriate function"]), max_size=12))
def test_every_call_belongs_to_one_domain(names):
    found = [Target(Reading("x", ()), name, "" if name.startswith("No") else name) for name in names]
    split = by_domain(found)
    assert sorted(target.domain for rows in split.values() for target in rows) == sorted(
        name for name in names if not name.startswith("No")
    )
    assert all({target.domain for target in rows} == {name} for name, rows in split.items())


def test_domains_come_back_as_written(tmp_path):
    known = {"light": Domain(["a", "b"], "frame-light"), "a/b": Domain(["c"], None)}
    write_domains(tmp_path, known)
    assert read_domains(tmp_path) == known


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: part(epochs=0), "epochs"),
        (lambda: part(min_steps=0), "min_steps"),
        (lambda: part(texts_a_step=0), "texts_a_step"),
        (lambda: BaselineConfig(min_count=0, domain=None, all_domains=None, frame=None), "min_count"),
        (lambda: BaselineSizes(examples=-1, dev_examples=1), "examples"),
        (lambda: BaselineSizes(examples=1, dev_examples=-1), "dev_examples"),
    ],
)
def test_a_size_out_of_range_names_itself(make, name):
    with pytest.raises(UserError, match=f"{name}: expected"):
        make()
