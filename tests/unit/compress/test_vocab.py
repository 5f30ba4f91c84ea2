"""Vocabulary pruning: the same tokens and logits inside the domain, any text still text outside of it."""

import json
from copy import deepcopy
from functools import cache

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from supertiny.compress.vocab import trim_vocabulary
from supertiny.core.errors import UserError
from supertiny.model.checkpoint import encoder, load_model, load_tokenizer, save, tokenizer_identity
from supertiny.model.vocab import align, full_ids, vocabulary, vocabulary_of
from tests.unit.compress.conftest import CALL, END, START, WORDS, llama_tokenizer, qwen2_tokenizer, random_model

KEPT_WORDS = ["turn", "kitchen", "newer", "thermostat", "21"]
TEXTS = [" ".join(KEPT_WORDS), " " + KEPT_WORDS[0], "kitchen, newer"]
MAKERS = {"llama": llama_tokenizer, "qwen2": qwen2_tokenizer}


@cache
def pair(name):
    """A full tokenizer and the one trimmed to TEXTS, with old id -> new id."""
    full = MAKERS[name]()
    model, trimmed = trim_vocabulary(random_model(full), full, TEXTS)
    kept = vocabulary_of(model.config, trimmed).ids
    return full, trimmed, {old: new for new, old in enumerate(kept)}


def logits(model, ids):
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0]


def hand_made(merges, alphabet="abc", **options):
    """A byte-level BPE of these merges alone: ids are bytes first, then the merges' results."""
    chars = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = chars + [merge.replace(" ", "") for merge in merges]
    definition = json.loads(Tokenizer(models.BPE({name: i for i, name in enumerate(names)}, [], **options)).to_str())
    definition["model"]["merges"] = merges
    tokenizer = Tokenizer.from_str(json.dumps(definition))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)


def test_what_stays_by_hand():
    """Merges as strings, `abcd` is made as a+b, c+d, ab+cd: that keeps ab and cd, not bc and abc."""
    full = hand_made(["a b", "b c", "c d", "ab c", "ab cd"])
    assert full.tokenize("abcd abc bcd") == ["abcd", "Ġ", "abc", "Ġ", "bc", "d"]
    model = random_model(full)
    model, trimmed = trim_vocabulary(model, full, ["abcd"])
    assert set(trimmed.get_vocab()) - pre_alphabet() == {"ab", "cd", "abcd", END}
    assert trimmed.tokenize("abcd abc bcd") == ["abcd", "Ġ", "ab", "c", "Ġ", "b", "cd"]
    assert model.config.vocab_size == len(trimmed) == 256 + 4


def pre_alphabet():
    return set(pre_tokenizers.ByteLevel.alphabet())


def test_order_of_merges_decides_as_before():
    """a+b comes before b+c, so `abc` is ab, c; with the texts keeping all three tokens it must stay so."""
    full = hand_made(["a b", "b c"])
    _, trimmed = trim_vocabulary(random_model(full), full, ["ab", "bc"])
    assert trimmed.tokenize("abc") == full.tokenize("abc") == ["ab", "c"]


def test_whole_words_outside_of_the_merges_stay():
    """`ignore_merges` (as in Llama 3): a word of the vocabulary is itself, no merge leads to `xyz`."""
    full = hand_made(["a b"], ignore_merges=True)
    definition = json.loads(full.backend_tokenizer.to_str())
    definition["added_tokens"][0]["id"] = 258
    definition["model"]["vocab"]["xyz"] = 257
    full = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(definition)), eos_token=END, pad_token=END
    )
    assert full.tokenize("xyz") == ["xyz"]
    _, trimmed = trim_vocabulary(random_model(full), full, ["xyz"])
    assert trimmed.tokenize("xyz xy") == ["xyz", "Ġ", "x", "y"]


def test_bytes_can_be_named_as_in_sentencepiece():
    """Llama 2 names bytes <0x00> to <0xFF>: they stay, single characters that are not used go, and text is text."""
    names = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁abcé", "ab", "▁ab"]
    tokenizer = Tokenizer(
        models.BPE({name: i for i, name in enumerate(names)}, [("a", "b"), ("▁", "ab")], byte_fallback=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    full = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END, unk_token="<unk>")
    _, trimmed = trim_vocabulary(random_model(full), full, ["ab"])
    assert full.tokenize("ab cé") == ["▁ab", "▁", "c", "é"]
    assert trimmed.tokenize("ab cé") == ["▁ab", "▁", "<0x63>", "<0xC3>", "<0xA9>"]
    assert trimmed.decode(trimmed("ab cé")["input_ids"]) == "ab cé"
    assert len(trimmed) == 256 + len(["<unk>", "▁", "a", "b", "ab", "▁ab", END])


@pytest.mark.parametrize("name", MAKERS)
@given(st.lists(st.sampled_from([*KEPT_WORDS, ","]), max_size=8), st.booleans())
def test_words_of_the_domain_in_any_order_are_the_same_tokens(name, words, led):
    full, trimmed, new = pair(name)
    text = "".join(word if word == "," else f" {word}" for word in words)[0 if led else 1 :]
    assert_same_where_kept(full, trimmed, new, text)
    assert all(token in new for token in encoder(full)(" " + " ".join(KEPT_WORDS[2:])))


@pytest.mark.parametrize("name", MAKERS)
@given(st.text(alphabet="turnkichewos tma21,", max_size=12))
def test_letters_of_the_domain_in_any_order_are_the_same_tokens_where_those_are_kept(name, text):
    assert_same_where_kept(*pair(name), text)


def assert_same_where_kept(full, trimmed, new, text):
    ids = encoder(full)(text)
    found = encoder(trimmed)(text)
    if all(index in new for index in ids):
        assert found == [new[index] for index in ids]
    assert trimmed.decode(found, clean_up_tokenization_spaces=False) == text


@pytest.mark.parametrize("name", MAKERS)
@given(st.text(max_size=20))
@example("Grüße, 日本\n\t🙂 off wider")
@example(f"{START}turn{END}<tool_call>")
def test_any_text_is_still_text(name, text):
    full, trimmed, _ = pair(name)
    read = lambda tokenizer: tokenizer.decode(encoder(tokenizer)(text), clean_up_tokenization_spaces=False)  # noqa: E731
    assert read(trimmed) == read(full)


@pytest.mark.parametrize("name", MAKERS)
def test_added_tokens_keep_their_kind(name):
    full, trimmed, new = pair(name)
    before, after = full.added_tokens_decoder, trimmed.added_tokens_decoder
    assert {new[index]: repr(token) for index, token in before.items()} == {i: repr(t) for i, t in after.items()}
    assert trimmed.special_tokens_map == full.special_tokens_map
    assert full(TEXTS[0])["input_ids"] != encoder(full)(TEXTS[0]) or name == "qwen2"  # Llama's begins with START
    assert trimmed(TEXTS[0])["input_ids"] == [new[index] for index in full(TEXTS[0])["input_ids"]]
    if name == "qwen2":
        assert not after[trimmed.convert_tokens_to_ids(CALL)].special


def test_fewer_tokens_are_kept_than_there_are():
    for name in MAKERS:
        full, trimmed, _ = pair(name)
        assert 256 < len(trimmed) < len(full) - 20


@pytest.mark.parametrize("tied", [True, False])
def test_logits_of_kept_tokens_are_what_they_were(bpe, tied):
    """Hidden states come from equal rows, and a logit is one row's product with them."""
    model = random_model(bpe, tied)
    before = deepcopy(model)
    model, trimmed = trim_vocabulary(model, bpe, TEXTS)
    kept = list(vocabulary_of(model.config, trimmed).ids)
    text = " kitchen newer turn 21"
    old, new = encoder(bpe)(text), encoder(trimmed)(text)
    assert torch.equal(logits(model, new), logits(before, old)[:, kept])
    assert logits(model, new).shape == (len(new), len(trimmed))
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    assert model.num_parameters() == before.num_parameters() - (2 - tied) * 32 * (len(bpe) + 7 - len(trimmed))


def test_ids_in_configs_follow_their_tokens(bpe):
    model, trimmed = trim_vocabulary(random_model(bpe), bpe, TEXTS)
    for config in (model.config, model.generation_config):
        assert config.pad_token_id == trimmed.pad_token_id
        assert config.bos_token_id == trimmed.bos_token_id
    assert model.config.eos_token_id == trimmed.eos_token_id
    assert model.generation_config.eos_token_id == [trimmed.eos_token_id, trimmed.pad_token_id]
    assert model.model.embed_tokens.padding_idx == trimmed.pad_token_id
    assert trimmed.convert_ids_to_tokens(trimmed.eos_token_id) == bpe.eos_token


def test_keeping_all_changes_only_the_padded_rows(bpe):
    model = random_model(bpe)
    before = deepcopy(model)
    every_word = WORDS + [f" {word}" for word in WORDS]
    texts = every_word + [bpe.decode([index]) for index in range(len(bpe))]
    model, trimmed = trim_vocabulary(model, bpe, texts)
    assert tokenizer_identity(trimmed) == tokenizer_identity(bpe)
    assert torch.equal(model.lm_head.weight, before.lm_head.weight[: len(bpe)])


def test_the_folder_is_the_same_bytes_twice_and_loads_as_it_was(bpe, tmp_path):
    for name in ("one", "two"):
        model, trimmed = trim_vocabulary(random_model(bpe), bpe, TEXTS)
        save(model, trimmed, tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
        assert str(tmp_path.parent) not in file.read_bytes().decode("latin-1")
    loaded, reader = load_model(tmp_path / "one"), load_tokenizer(tmp_path / "one")
    assert reader.get_vocab() == trimmed.get_vocab()
    ids = encoder(reader)(TEXTS[0])
    assert torch.equal(logits(loaded, ids), logits(model, ids))


def test_the_record_survives_saving_again_and_trimming_again(bpe, tmp_path):
    """As training does: load, save elsewhere. Trimmed twice, ids are still those of the first tokenizer."""
    save(*trim_vocabulary(random_model(bpe), bpe, TEXTS), tmp_path / "once")
    save(load_model(tmp_path / "once"), load_tokenizer(tmp_path / "once"), tmp_path / "again")
    assert full_ids(tmp_path / "again") == full_ids(tmp_path / "once")
    model, reader = load_model(tmp_path / "again"), load_tokenizer(tmp_path / "again")
    save(*trim_vocabulary(model, reader, ["newer"]), tmp_path / "twice")
    twice, tokens = full_ids(tmp_path / "twice"), load_tokenizer(tmp_path / "twice").get_vocab()
    assert {token: twice[index] for token, index in tokens.items()}.items() <= bpe.get_vocab().items()
    assert len(twice) < len(full_ids(tmp_path / "once"))
    found = align(vocabulary(tmp_path / "twice"), vocabulary_of(random_model(bpe).config, bpe))
    assert found.to_teacher.tolist() == twice


def test_other_tokenizers_are_refused(bpe):
    words = Tokenizer(models.WordLevel({"a": 0, END: 1}, unk_token=END))
    full = PreTrainedTokenizerFast(tokenizer_object=words, eos_token=END, pad_token=END)
    with pytest.raises(UserError, match="only byte-level BPE"):
        trim_vocabulary(random_model(bpe), full, ["a"])


def test_an_id_without_a_token_is_named(bpe):
    model = random_model(bpe)
    model.config.pad_token_id = len(bpe) + 3
    with pytest.raises(UserError, match=rf"\[{len(bpe) + 3}\]"):
        trim_vocabulary(model, bpe, TEXTS)


def test_a_tokenizer_of_a_larger_model_is_refused(bpe):
    model = random_model(bpe)
    model.resize_token_embeddings(300)
    with pytest.raises(UserError, match="300 rows"):
        trim_vocabulary(model, bpe, TEXTS)
