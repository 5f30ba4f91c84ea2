"""One interface, three retrievers; and the `extensible` column of Table 5, made true."""

import pytest
import torch

from supertiny.core.ask import ChatConfig, Generation
from supertiny.core.calls import Call, Function, Refusal
from supertiny.core.errors import UserError
from supertiny.core.records import Example, Turn
from supertiny.model.encoder import HeadedEncoder
from supertiny.retrieval.config import DescribeConfig
from supertiny.retrieval.describe import Describer
from supertiny.retrieval.index import FunctionIndex
from supertiny.retrieval.retrievers import ClassifierRetriever, EmbeddingRetriever, described_by, dialogues, queries

FAN = Function("turn_on_fan", "Turns on a fan")
WANTS_FAN = Example(id="1", query="fan on", answers=(Call("turn_on_fan"),))


@pytest.fixture
def embedding(pool, embed):
    return EmbeddingRetriever(FunctionIndex(embed, pool.values(), "description"), queries)


@pytest.fixture(scope="module")
def classifier(tiny_folder):
    torch.manual_seed(0)
    return ClassifierRetriever(HeadedEncoder(tiny_folder, ["lock_door", "play_music", "turn_on_light"]))


def test_a_function_added_at_run_time_is_found_without_training(embedding):
    assert embedding.extensible
    assert "turn_on_fan" not in embedding.rank([WANTS_FAN])[0]
    embedding.add(FAN)
    assert embedding.rank([WANTS_FAN])[0][0] == "turn_on_fan"


def test_a_function_added_at_run_time_is_found_by_its_description_too(pool, embed):
    """The query shares no word with the function's document; what is written of it does."""
    asked = []

    def ask(chats, cfg, progress):
        asked.extend(chats)
        return [Generation(' "Turns on a fan."\n', 9, 9, 5) for _ in chats]

    cfg = DescribeConfig(num_examples=0, max_chars=99, chat=ChatConfig(temperature=0.0, max_new_tokens=9))
    writer = Describer(pool=pool, shown=(), ask=ask, cfg=cfg)
    retriever = EmbeddingRetriever(FunctionIndex(embed, pool.values(), "description"), writer.describe)
    hot = Example(id="1", query="it is too hot in here")
    assert retriever.extensible
    assert "turn_on_fan" not in retriever.rank([hot])[0]
    retriever.add(FAN)
    assert retriever.rank([hot])[0][0] == "turn_on_fan"
    assert asked and all(hot.query in chat.messages[-1][1] for chat in asked)


def test_the_classifier_says_by_name_that_it_must_be_retrained(classifier):
    assert not classifier.extensible
    before = classifier.rank([WANTS_FAN])
    with pytest.raises(UserError, match=r"'turn_on_fan'.*the 3 functions.*retrain"):
        classifier.add(FAN)
    assert classifier.rank([WANTS_FAN]) == before


@pytest.mark.parametrize("kind", ["embedding", "classifier"])
def test_first_k_of_a_ranking_are_its_beginning_and_scores_fall(kind, request):
    retriever = request.getfixturevalue(kind)
    rows = [WANTS_FAN, Example(id="2", query="lock the door"), Example(id="3", query="music")]
    whole = retriever.scored(rows)
    assert retriever.scored(rows, 2) == [found[:2] for found in whole]
    assert retriever.rank(rows) == [[name for name, _ in found] for found in whole]
    for found in whole:
        scores = [score for _, score in found]
        assert scores == sorted(scores, reverse=True)
        assert len({name for name, _ in found}) == len(found)
    assert retriever.rank([]) == []


def test_the_classifier_ranks_by_its_own_label_scores(classifier):
    (found,) = classifier.scored([WANTS_FAN])
    (scores,) = classifier.model.scores(["fan on"])
    assert dict(found) == dict(zip(classifier.model.labels, scores["label"].tolist(), strict=True))


def test_the_instruction_stands_before_every_text(pool, embed):
    seen = []

    def listening(texts):
        seen.extend(texts)
        return embed(texts)

    index = FunctionIndex(listening, pool.values(), "name")
    seen.clear()
    EmbeddingRetriever(index, described_by({"1": "starts a fan"}), "Query: ").rank([WANTS_FAN])
    assert seen == ["Query: starts a fan"]


def test_an_example_without_description_is_named():
    with pytest.raises(UserError, match="'1': it has no description"):
        described_by({"2": "x"})([WANTS_FAN])


def test_a_dialogue_says_query_context_knowledge_and_latest_turn_first():
    example = Example(
        id="1",
        query="and Thumper",
        context={"room": "hall", "time": "18:05"},
        knowledge=("Thumper: a fan",),
        history=(Turn("hi", Refusal.UNCLEAR), Turn("fan on", Call("turn_on_fan", {"area": "hall"}))),
    )
    assert dialogues([example]) == [
        "and Thumper | room: hall; time: 18:05 | Thumper: a fan | "
        'Earlier: fan on -> {"name":"turn_on_fan","arguments":{"area":"hall"}} | Earlier: hi -> Request unclear'
    ]
