"""The cache on disk: the same bytes however often it was killed, and nothing damaged or foreign is read."""

import json
import os
import resource
import signal
from dataclasses import replace

import numpy as np
import pytest

from supertiny.core.errors import UserError
from supertiny.distill.config import LogitsConfig, LogitsSizes
from supertiny.distill.rows import Rows, reconciled
from supertiny.distill.shards import Shard
from supertiny.distill.store import CacheReader, CacheWriter, TeacherIdentity, content_key, summary
from supertiny.model.vocab import Vocabulary

QWEN = 151_665
CONFIG = LogitsConfig(top_k=100, top_p=0.9999, min_k=2, temperature=1.0)
TEACHER = TeacherIdentity(weights_sha256="w" * 64, vocabulary=Vocabulary("t" * 64, range(QWEN)), padded_size=151_936)
SHARD_TOKENS = 60


def key(number):
    return content_key([1, 2, number], [3])


def rows(number, tokens=None):
    """Rows that depend on `number` alone; its response has `number % 7` tokens, none included."""
    draw = np.random.default_rng(number)
    counts = draw.integers(2, 20, number % 7 if tokens is None else tokens)
    logs = [np.sort(draw.exponential(5, num)) for num in counts]
    return Rows(
        draw.integers(0, QWEN, counts.sum()).astype(np.int32),
        -np.concatenate(logs or [[]]).astype(np.float16),
        counts,
        -draw.exponential(9, len(counts)).astype(np.float16),
    )


def fill(folder, numbers=range(100), teacher=TEACHER, cfg=CONFIG):
    with CacheWriter(folder, teacher, cfg, SHARD_TOKENS) as writer:
        for number in numbers:
            writer.add(key(number), rows(number))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same(found, wanted):
    for name in Rows.__slots__:
        assert np.array_equal(getattr(found, name), getattr(reconciled(wanted), name)), name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    fill(folder)
    return folder


@pytest.fixture
def cache(whole, tmp_path):
    """A copy to damage."""
    for name, data in contents(whole).items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_every_response_comes_back_in_any_order(whole):
    reader = CacheReader(whole)
    for number in reversed(range(100)):
        assert key(number) in reader
        assert_same(reader.read(key(number)), rows(number))
    assert len(reader.shards) > 3
    assert (reader.temperature, reader.teacher, reader.cfg) == (1.0, TEACHER, CONFIG)


def test_a_missing_key_says_what_to_rerun(whole):
    assert key(100) not in CacheReader(whole)
    with pytest.raises(UserError, match="no logits for one of the prompts.*rerun the stage"):
        CacheReader(whole).read(key(100))


def test_the_same_inputs_give_the_same_bytes(whole, tmp_path):
    fill(tmp_path)
    assert contents(tmp_path) == contents(whole)


def test_a_key_that_is_added_twice_is_stored_once(whole, tmp_path):
    with CacheWriter(tmp_path, TEACHER, CONFIG, SHARD_TOKENS) as writer:
        for number in range(100):
            for other in {0, number // 2, number}:
                writer.add(key(other), rows(number))
                assert key(other) in writer
            assert key(number + 1) not in writer
    assert contents(tmp_path) == contents(whole)


def test_keys_tell_the_prompt_from_the_response():
    """One token moved from the response to the prompt is another content; so are ids beyond 16 bits."""
    keys = {
        content_key([1, 2], [3]),
        content_key([1], [2, 3]),
        content_key([1, 2, 3], []),
        content_key([65537, 2], [3]),
    }
    assert len(keys) == 4 and {len(one) for one in keys} == {16}
    assert content_key((1, 2), [3]) in keys


def test_an_empty_cache_is_a_cache(tmp_path):
    fill(tmp_path, [])
    assert summary(CacheReader(tmp_path))["tokens"] == 0
    assert key(1) not in CacheReader(tmp_path)


def test_a_writer_that_fails_leaves_whole_shards_and_no_manifest(tmp_path, whole):
    with pytest.raises(RuntimeError), CacheWriter(tmp_path, TEACHER, CONFIG, SHARD_TOKENS) as writer:
        for number in range(50):
            writer.add(key(number), rows(number))
        raise RuntimeError
    found = contents(tmp_path)
    assert found and found.items() < contents(whole).items() and "manifest.json" not in found
    with pytest.raises(UserError, match=r"manifest.json does not exist; run the stage"):
        CacheReader(tmp_path)


def killed_before(number, folder):
    """What a writer in a process of its own added until it was killed before response `number`."""
    told, tell = os.pipe()
    if not (child := os.fork()):
        with CacheWriter(folder, TEACHER, CONFIG, SHARD_TOKENS) as writer:
            for one in range(100):
                if one == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                if key(one) not in writer:
                    os.write(tell, bytes([one]))
                    writer.add(key(one), rows(one))
        os._exit(0)
    os.close(tell)
    assert os.waitpid(child, 0)[1] == (signal.SIGKILL if number < 100 else 0)
    with os.fdopen(told, "rb") as pipe:
        return list(pipe.read())


def test_killed_writers_go_on_and_give_the_same_bytes(whole, tmp_path):
    """Killed before the 10th and again before the 70th response; a shard holds about 20 of them."""
    assert killed_before(10, tmp_path) == list(range(10))
    assert killed_before(70, tmp_path) == list(range(70))
    assert not (tmp_path / "manifest.json").exists()
    assert 40 < killed_before(100, tmp_path)[0] < 70
    assert contents(tmp_path) == contents(whole)


def test_a_flipped_bit_anywhere_is_refused_by_name(cache):
    path = cache / "shard-00002.bin"
    data = path.read_bytes()
    for at in range(0, len(data), 97):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        with pytest.raises(UserError, match=r"shard-00002\.bin .*delete it and rerun"):
            CacheReader(cache)


@pytest.mark.parametrize("size", [0, 10, 100, 1000])
def test_a_truncated_shard_is_refused_by_name(cache, size):
    path = cache / "shard-00001.bin"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UserError, match=rf"shard-00001\.bin is not the whole shard \({size} bytes of"):
        CacheReader(cache)
    with pytest.raises(UserError, match=r"shard-00001\.bin"):
        fill(cache)


def test_a_missing_shard_is_named(cache):
    (cache / "shard-00001.bin").unlink()
    with pytest.raises(UserError, match=r"shard-00001\.bin is missing; rerun"):
        CacheReader(cache)


@pytest.mark.parametrize(
    ("teacher", "cfg"),
    [
        (replace(TEACHER, weights_sha256="other"), CONFIG),
        (replace(TEACHER, vocabulary=Vocabulary("t" * 64, range(QWEN - 1))), CONFIG),
        (TEACHER, replace(CONFIG, temperature=2.0)),
    ],
)
def test_a_shard_of_another_teacher_or_setting_is_refused_by_name(cache, tmp_path_factory, teacher, cfg):
    other = tmp_path_factory.mktemp("other")
    fill(other, teacher=teacher, cfg=cfg)
    with pytest.raises(UserError, match=r"shard-00000\.bin was made by another teacher"):
        fill(cache, teacher=teacher, cfg=cfg)
    (cache / "shard-00001.bin").write_bytes((other / "shard-00001.bin").read_bytes())
    with pytest.raises(UserError, match=r"shard-00001\.bin was made by another teacher"):
        CacheReader(cache)


def test_a_whole_shard_in_the_place_of_another_is_refused_by_name(cache):
    (cache / "shard-00001.bin").write_bytes((cache / "shard-00002.bin").read_bytes())
    with pytest.raises(UserError, match=r"shard-00001\.bin is"):
        CacheReader(cache)


@pytest.mark.parametrize("damage", ["{", "[]", '{"format": 1}', '{"format": 99}'])
def test_a_foreign_manifest_is_refused_by_name(cache, damage):
    manifest = cache / "manifest.json"
    value = json.loads(damage) if damage != "{" else None
    if isinstance(value, dict) and value["format"] == 99:
        damage = json.dumps(json.loads(manifest.read_text()) | value)
    manifest.write_text(damage)
    with pytest.raises(UserError, match=r"manifest\.json is|format 99 is not"):
        CacheReader(cache)


def test_another_tokenizer_is_an_error_that_names_both(whole):
    with pytest.raises(UserError, match="s{64}.*t{64}"):
        CacheReader(whole).align(Vocabulary("s" * 64, range(QWEN)))


def test_a_student_of_the_family_is_aligned_with_a_trimmed_teacher(tmp_path):
    """The teacher keeps ids 0, 4, 7 of the tokenizer, the student 7, 4, 9."""
    trimmed = TeacherIdentity(weights_sha256="w", vocabulary=Vocabulary("t", [0, 4, 7]), padded_size=3)
    fill(tmp_path, [], trimmed)
    alignment = CacheReader(tmp_path).align(Vocabulary("t", [7, 4, 9]))
    assert alignment.to_teacher.tolist() == [2, 1, -1]
    assert alignment.to_student.tolist() == [-1, 1, 0]


@pytest.mark.parametrize("tokens", [1, 200], ids=["seen at the end", "seen at once"])
def test_a_full_disk_is_a_clear_error_and_what_is_whole_is_kept(whole, tmp_path, tokens):
    """A file-size limit in the second shard stands for the full disk; with room again the bytes are the same."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with (
            pytest.raises(UserError, match="cannot be written: .*make room and rerun, 1 whole shards are kept"),
            CacheWriter(tmp_path, TEACHER, CONFIG, SHARD_TOKENS) as writer,
        ):
            for number in range(25):
                writer.add(key(number), rows(number))
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
            writer.add(key(1000), rows(1000, tokens))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(contents(tmp_path)) == ["shard-00000.bin"]
    fill(tmp_path)
    assert contents(tmp_path) == contents(whole)


def test_a_grown_cache_keeps_what_it_had(cache):
    """More responses, for more students: what is there is not computed again."""
    before = contents(cache)
    fill(cache, range(90, 140))
    after = contents(cache)
    assert all(after[name] == data for name, data in before.items() if name != "manifest.json")
    reader = CacheReader(cache)
    for number in range(140):
        assert_same(reader.read(key(number)), rows(number))


def test_what_a_cache_takes_and_misses_is_counted_honestly(whole):
    found = summary(CacheReader(whole))
    tokens = sum(number % 7 for number in range(100))
    size = sum(path.stat().st_size for path in whole.iterdir())
    missing = sum(rows(number).missing.sum() for number in range(100))
    assert (found["examples"], found["tokens"], found["bytes"]) == (100, tokens, size)
    assert found["bytes_per_token"] == pytest.approx(size / tokens, abs=1e-3)
    assert found["ids_per_token"] == pytest.approx(sum(len(rows(n).ids) for n in range(100)) / tokens, abs=1e-3)
    assert found["missing_mass"] == pytest.approx(missing / tokens)
    json.dumps(found)


@pytest.mark.parametrize("tokens", [1, 30])
def test_a_hundred_ids_of_an_18_bit_vocabulary_never_take_more_than_425_bytes(tmp_path, tokens):
    """Keys, index and checksums included, at any probabilities, even where each response is one token."""
    draw, num = np.random.default_rng(0), 400
    cfg = replace(CONFIG, min_k=1)
    with CacheWriter(tmp_path, TEACHER, cfg, 10**6) as writer:
        for number in range(num):
            logs = np.sort(draw.uniform(0, 65504, (tokens, 100)), axis=1).astype(np.float16)
            logs[:, -1] = 65504
            ids = draw.integers(0, QWEN, 100 * tokens).astype(np.int32)
            writer.add(key(number), Rows(ids, -logs.ravel(), np.full(tokens, 100), np.full(tokens, -1, np.float16)))
    assert summary(CacheReader(tmp_path))["bytes_per_token"] < 425


def test_look_ups_read_one_bucket(tmp_path, monkeypatch):
    """Two small reads a look-up, however many entries there are: nothing of the index stays in memory."""
    with CacheWriter(tmp_path, TEACHER, CONFIG, 10**6) as writer:
        for number in range(3000):
            writer.add(key(number), rows(number, 1))
    read, sizes = Shard.read, []
    reader = CacheReader(tmp_path)
    monkeypatch.setattr(Shard, "read", lambda self, start, size: sizes.append(size) or read(self, start, size))
    assert all(key(number) in reader for number in range(3000))
    assert len(sizes) == 6000 and max(sizes) < 3000


def test_a_forked_process_reads_with_its_parents_reader(whole):
    reader = CacheReader(whole)
    children = [os.fork() for _ in range(2)]
    if 0 in children:
        try:
            for _ in range(5):
                for number in range(100):
                    assert_same(reader.read(key(number)), rows(number))
            os._exit(0)
        except BaseException:
            os._exit(1)
    for number in range(100):
        assert_same(reader.read(key(number)), rows(number))
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


def test_shard_tokens_out_of_range_are_named():
    with pytest.raises(UserError, match="shard_tokens"):
        LogitsSizes(shard_tokens=0)
