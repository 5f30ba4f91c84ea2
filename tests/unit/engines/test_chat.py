"""Chats: kept replies are never asked for again, and the native engine follows a schema."""

import json

import pytest

from supertiny.core.ask import Chat, ChatConfig, ChatMachine, Generation
from supertiny.core.errors import UserError
from supertiny.engines.native.answer import chat as native_chat
from supertiny.engines.servers.answer import Apart
from supertiny.model.answer import Replies

GREEDY = ChatConfig(temperature=0.0, max_new_tokens=8)
SCHEMA = json.dumps({"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]})


def say(text: str, **more) -> Chat:
    return Chat((("system", "Answer."), ("user", text)), **more)


def machine(**more) -> ChatMachine:
    values = {"precision": "float32", "batch_size": 4, "shard": 2, "url": None, "served_model": None}
    endpoint = {"key_variable": None, "retries": 5, "timeout_s": 10.0, "structured": "json_schema"}
    return ChatMachine(**{**values, **endpoint, **more})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


class Scripted:
    """Answers with the last word, and who stood beside it; remembers what it was asked, and dies when told to."""

    def __init__(self, dies_at=None):
        self.asked, self.dies_at = [], dies_at

    def __call__(self, chats, cfg):
        if self.dies_at is not None and len(self.asked) >= self.dies_at:
            raise KeyboardInterrupt
        self.asked += [chat.messages[-1][1] for chat in chats]
        beside = "".join(chat.messages[-1][1] for chat in chats)
        return [Generation(f"{chat.messages[-1][1]} of {beside}", 5, 5, 1) for chat in chats]


def test_the_same_chats_are_never_asked_twice_within_a_run_or_across_runs():
    first, chats = Scripted(), [say("a"), say("b"), say("a"), say("c")]
    found = Replies("m", first, 2).ask(chats, GREEDY, "x")
    assert [one.text for one in found] == ["a of ab", "b of ab", "a of ab", "c of c"] and first.asked == ["a", "b", "c"]
    second = Scripted()
    assert Replies("m", second, 2).ask(chats, GREEDY, "x") == found and second.asked == []


def texts(model, chats, shard=2):
    return [one.text for one in Replies("m", model, shard).ask([say(word) for word in chats], GREEDY, "x")]


@pytest.mark.parametrize("before", ["", "b", "ab", "ba", "cd", "abc", "fa", "abcd", "dcba"])
def test_what_was_asked_before_changes_no_reply(cache, monkeypatch, before):
    """A reply may hang on its neighbours: they are those of a first run, whoever has one already."""
    fresh = texts(Scripted(), "abcde")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / "other"))
    texts(Scripted(), before)
    again = Scripted()
    assert texts(again, "abcde") == fresh == ["a of ab", "b of ab", "c of cd", "d of cd", "e of e"]
    assert texts(Scripted(), "abcde", shard=3) == ["a of abc", "b of abc", "c of abc", "d of de", "e of de"]


def test_another_model_decoding_sample_or_schema_is_another_reply():
    first = Scripted()
    Replies("m", first, 8).ask([say("a"), say("a", sample=1), say("a", schema=SCHEMA)], GREEDY, "x")
    Replies("m", first, 8).ask([say("a")], ChatConfig(temperature=1.0, max_new_tokens=8), "x")
    Replies("other", first, 8).ask([say("a")], GREEDY, "x")
    assert first.asked == ["a"] * 5


def test_a_killed_run_loses_at_most_one_shard():
    with pytest.raises(KeyboardInterrupt):
        Replies("m", Scripted(dies_at=4), 2).ask([say(c) for c in "abcdef"], GREEDY, "x")
    second = Scripted()
    found = texts(second, "abcdef")
    assert second.asked == ["e", "f"] and found == [f"{c} of {pair}" for pair in ("ab", "cd", "ef") for c in pair]


def test_a_server_is_asked_for_what_is_new_alone_and_its_folder_read_once(cache):
    """The second question finds the first one's reply in memory: its file is gone."""
    model = Scripted()
    kept = Apart("m", model, 2)
    kept.ask([say("a")], GREEDY, "x")
    (path,) = (cache / "supertiny/replies/m").glob("*.jsonl")
    path.unlink()
    assert [one.text for one in kept.ask([say("a"), say("b")], GREEDY, "x")] == ["a of a", "b of b"]
    assert model.asked == ["a", "b"]
    second = Scripted()
    Apart("m", second, 2).ask([say("b"), say("c")], GREEDY, "x")
    assert second.asked == ["c"]


def test_a_corrupt_file_of_replies_is_named(cache):
    Replies("m", Scripted(), 2).ask([say("a")], GREEDY, "x")
    (path,) = (cache / "supertiny/replies/m").glob("*.jsonl")
    kept = path.read_text()
    foreign = kept.replace('"key": "', '"key": "0')
    for damaged, said in ((kept[:20], ", line 1: no kept reply"), (foreign, ": does not hold the replies")):
        path.write_text(damaged)
        with pytest.raises(UserError, match=f"{path.name}{said}.*delete the file to ask again"):
            texts(Scripted(), "a")


def test_the_native_engine_follows_the_schema_and_samples_differ(tiny_folder):
    ask = native_chat(tiny_folder, machine())
    (found,) = ask([say("a", schema=SCHEMA)], ChatConfig(temperature=0.0, max_new_tokens=40), "x")
    assert json.loads(found.text)["ok"] in (True, False)
    warm = ChatConfig(temperature=1.0, max_new_tokens=20)
    several = ask([say("a", sample=n) for n in range(4)], warm, "x")
    assert len({one.text for one in several}) > 1
