"""From a teacher to its student in process: logits once, students by answers and by logits, how far they are."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from stages import distance, distill, logits, sft, shrink
from supertiny.core.errors import UserError
from supertiny.engines.native import logits as engine
from supertiny.model.checkpoint import load_config, load_model, load_tokenizer, save
from tests.project import bytes_of, have_base, have_dataset, smoke_project

DATA = Path("data/dataset")
MODELS = Path("data/models")
LEARNING = {"rows": DATA / "train.reference.jsonl", "data": DATA}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project folder with a fine-tuned teacher, its logits, and two students that are half of their base.

    As in Qwen2.5, teacher and student are of one family with heads padded to different sizes.
    """

    def change(params, profile):
        for how in ("sft", "teaching"):
            params["training"][how] |= {"dev_points": 2, "fit": {"learning_rate": 3e-3}}
        params["training"]["teaching"]["epochs"] = 2
        params["pack"] |= {"group_size": 3, "function_dropout": 0.3}
        profile["sizes"]["sft"] = {"examples": 24, "dev_examples": 6}
        profile["base"]["llm"] += ",vocab_size=320"
        profile["base"]["student"] += ",vocab_size=384"
        params["trained"]["shrink"] = {
            "tiny": {"base": "student", "blocks": 0.5},
            "narrow": {"base": "student", "channels": 0.75},
            "broad": {"base": "student", "channels": 1.01},
            "uncut": {"base": "sft", "trim_vocabulary": False},
            "whole": {"base": "student", "blocks": 0.5, "trim_vocabulary": False},
        }

    with smoke_project(tmp_path_factory.mktemp("project"), change) as folder:
        have_dataset()
        have_base("llm", "student")
        sft.main("sft", MODELS / "llm", **LEARNING, out=MODELS / "sft", log=Path("data/logs/sft.csv"))
        logits.main(**LEARNING, teacher=MODELS / "sft", out=Path("data/logits"), report=Path("data/logits.json"))
        for name in ("tiny", "whole"):
            make(name)
        yield folder


def make(name, of="student"):
    paths = {"texts": Path("data/general/instructions.jsonl"), "search": Path(f"data/results/{name}/search.json")}
    shrink.main(name, MODELS / of, **LEARNING, **paths, out=MODELS / name)


def teach(out, logits=Path("data/logits"), student="tiny", **data):
    paths = {"base": MODELS / student, "logits": logits, "out": MODELS / out, "log": Path(f"data/logs/{out}.csv")}
    distill.main("tiny_kd", **(LEARNING | paths | data))


def test_a_student_comes_nearer_to_its_teacher_and_twice_to_the_same_bytes(project):
    sft.main("tiny_rft", MODELS / "tiny", **LEARNING, out=MODELS / "rft", log=Path("data/logs/rft.csv"))
    teach("kd")
    teach("again")
    assert bytes_of(Path("data/models/kd")) == bytes_of(Path("data/models/again"))
    curve = list(csv.DictReader(Path("data/logs/kd.csv").read_text().splitlines()))
    assert float(curve[-1]["loss"]) < float(curve[0]["loss"])
    folders = {"before": MODELS / "tiny", "rft": MODELS / "rft", "kd": MODELS / "kd"}
    said = {"logits": Path("data/logits"), "out": Path("data/results/distance.json")}
    distance.main(**folders, **said, **LEARNING)
    models = json.loads(Path("data/results/distance.json").read_text())["models"]
    assert models["kd"]["fkl_nats"] < models["before"]["fkl_nats"]
    assert models["rft"]["fkl_nats"] < models["before"]["fkl_nats"]
    for one in models.values():
        assert sum(one["alpha_histogram"]) == one["tokens"] == sum(s["tokens"] for s in one["slots"].values())
        assert sum(one["top1_histogram"]) == one["tokens"]


def test_a_student_may_keep_every_block_and_fewer_channels(project):
    make("narrow")
    shape = load_config(MODELS / "narrow")
    assert (shape.num_hidden_layers, shape.hidden_size, shape.intermediate_size) == (2, 64, 96)
    teach("narrow_kd", student="narrow")
    curve = list(csv.DictReader(Path("data/logs/narrow_kd.csv").read_text().splitlines()))
    assert float(curve[-1]["loss"]) < float(curve[0]["loss"])
    with pytest.raises(UserError, match="trained.shrink.broad: channels: expected more than 0 and at most 1, got 1.01"):
        make("broad")


def test_a_student_that_would_be_its_teacher_is_told_what_to_change(project):
    with pytest.raises(UserError, match="trained.shrink: uncut would be all of data/models/sft: set blocks, channels"):
        make("uncut", of="sft")


def test_a_student_with_a_wider_padded_head_learns_from_the_same_cache(project):
    """What stands in the padded rows decides nothing."""
    assert load_config(MODELS / "sft").vocab_size == 320 and load_config(MODELS / "whole").vocab_size == 384
    model, tokenizer = load_model(MODELS / "whole"), load_tokenizer(MODELS / "whole")
    with torch.no_grad():
        model.get_output_embeddings().weight[257:] = 9.0
    save(model, tokenizer, MODELS / "junk")
    curves = {}
    for name in ("whole", "junk"):
        teach(f"{name}_kd", student=name)
        with Path(f"data/logs/{name}_kd.csv").open() as file:
            curves[name] = [float(row["loss"]) for row in csv.DictReader(file)]
    assert curves["whole"] == curves["junk"] and curves["whole"][-1] < curves["whole"][0]


def test_the_teacher_is_asked_once_whoever_asks(project, monkeypatch):
    before = bytes_of(Path("data/logits"))
    monkeypatch.setattr(engine.checkpoint, "load_model", lambda *_: pytest.fail("the teacher was loaded again"))
    logits.main(**LEARNING, teacher=MODELS / "sft", out=Path("data/again"), report=Path("data/again.json"))
    assert bytes_of(Path("data/again")) == before
    assert Path("data/again.json").read_text() == Path("data/logits.json").read_text()


def test_of_two_runs_at_once_one_asks_and_the_other_waits(project, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forward, passes = engine.ResponseLogits.hidden, []
    monkeypatch.setattr(engine.ResponseLogits, "hidden", lambda *given: passes.append(given) or forward(*given))

    def ask(name):
        logits.main(**LEARNING, teacher=MODELS / "sft", out=Path(f"data/{name}"), report=Path(f"data/{name}.json"))

    ask("alone")
    total = len(passes)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    with ThreadPoolExecutor(2) as both:
        list(both.map(ask, ("one", "two")))
    assert len(passes) == 2 * total
    assert bytes_of(Path("data/one")) == bytes_of(Path("data/two")) == bytes_of(Path("data/alone"))


def test_other_code_or_another_precision_asks_the_teacher_anew(project, monkeypatch):
    stores = Path("cache/supertiny/logits")
    before = {path.name for path in stores.iterdir() if path.is_dir()}
    monkeypatch.setattr(engine, "CODE", ("model",))
    logits.main(**LEARNING, teacher=MODELS / "sft", out=Path("data/anew"), report=Path("data/anew.json"))
    assert len({path.name for path in stores.iterdir() if path.is_dir()} - before) == 1
    assert bytes_of(Path("data/anew")) == bytes_of(Path("data/logits"))


@contextmanager
def small_batches(max_tokens=512):
    """Several passes over the teacher, several shards."""
    profile = Path("profiles/smoke.yaml")
    kept = profile.read_text()
    small = kept.replace("max_tokens: 4096", f"max_tokens: {max_tokens}")
    profile.write_text(small.replace("shard_tokens: 500", "shard_tokens: 40"))
    try:
        yield
    finally:
        profile.write_text(kept)


def test_a_killed_pass_over_the_teacher_ends_with_the_same_bytes(project, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    forward, passes = engine.ResponseLogits.hidden, []

    def dies(self, batch):
        passes.append(batch)
        if len(passes) == 2:
            raise KeyboardInterrupt
        return forward(self, batch)

    with small_batches():
        monkeypatch.setattr(engine.ResponseLogits, "hidden", dies)
        paths = {"teacher": MODELS / "sft", "out": Path("data/killed"), "report": Path("data/killed.json")}
        with pytest.raises(KeyboardInterrupt):
            logits.main(**LEARNING, **paths)
        assert not Path("data/killed").exists()
        logits.main(**LEARNING, **paths)
        total = len(passes)
        logits.main(**LEARNING, **paths)
        assert len(passes) == total > 2
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
        logits.main(**LEARNING, **(paths | {"out": Path("data/through")}))
        assert len(bytes_of(Path("data/through"))) > 3 and bytes_of(Path("data/through")) == bytes_of(
            Path("data/killed")
        )


@pytest.mark.parametrize("before", [["killed"], ["others"], ["others", "killed"]], ids=" and ".join)
def test_logits_are_those_of_a_first_run_whatever_was_before(project, monkeypatch, tmp_path, before):
    """Rounding is made large here: what comes out of a pass hangs on all that is in its batch."""
    forward, passes, dies = engine.ResponseLogits.hidden, [], set()

    def leans(self, batch):
        passes.append(batch)
        if len(passes) in dies:
            raise KeyboardInterrupt
        return forward(self, batch) * (1 + batch.ids.float().mean() / 300)

    def ask(cache, name, **data):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
        paths = {"teacher": MODELS / "sft", "out": tmp_path / name, "report": tmp_path / f"{name}.json"}
        logits.main(**(LEARNING | paths | data))
        return bytes_of(tmp_path / name)

    others = tmp_path / "others.jsonl"
    others.write_text("\n".join((DATA / "train.reference.jsonl").read_text().splitlines()[8:40]))
    monkeypatch.setattr(engine.ResponseLogits, "hidden", leans)
    with small_batches(2500):  # some packs in each
        fresh = ask("fresh", "first")
        if "others" in before:
            assert ask("used", "second", rows=others) != fresh
        if "killed" in before:
            dies.add(len(passes) + 3)
            with pytest.raises(KeyboardInterrupt):
                ask("used", "third")
        assert ask("used", "third") == fresh


def test_logits_of_other_examples_are_refused_before_a_step(project):
    with pytest.raises(UserError, match="rerun the stage that stores the teacher's logits"):
        teach("other", rows=DATA / "expert.jsonl")
    assert not (MODELS / "other").exists()


def test_a_flipped_bit_in_the_cache_is_refused_by_name(project, tmp_path):
    broken = tmp_path / "logits"
    broken.mkdir()
    for name, content in bytes_of(Path("data/logits")).items():
        flipped = bytearray(content)
        if name.endswith(".bin"):
            flipped[len(flipped) // 2] ^= 1
        (broken / name).write_bytes(flipped)
    with pytest.raises(UserError, match=r"shard-00000\.bin"):
        teach("broken", logits=broken)
