"""General distillation on tiny models: against a gradient made by hand, nothing to learn from oneself, exact resume."""

import csv
from dataclasses import replace

import pytest
import torch

from supertiny.compress.cut import keep_layers
from supertiny.compress.vocab import trim_vocabulary
from supertiny.core.errors import UserError
from supertiny.distill.config import DistillConfig
from supertiny.engines.native.train import train
from supertiny.engines.training import AskedModel, TrainingPlan
from supertiny.model.checkpoint import load_model, load_tokenizer, save
from supertiny.model.config import FitConfig, FrozenConfig, TrainingConfig, TrainMachine
from supertiny.model.train import Job
from supertiny.sft import general
from supertiny.sft.general import GeneralSet, Instruction, pieces
from tests.project import bytes_of, killed_before_step
from tests.unit.compress.conftest import WORDS, random_model

TEXTS = [" ".join(WORDS[at : at + 6]) for at in range(8)]
DATA = GeneralSet([Instruction(text[:12], text[12:]) for text in TEXTS], [Instruction("turn on", "the light")], 0)
OTHER = Instruction("turn on", "the thermostat to 5 degrees")
MACHINE = TrainMachine(
    precision="float32", max_tokens=128, gradient_checkpointing=False, save_minutes=1e-9, processes=1
)
FIT = FitConfig(learning_rate=1e-3, warmup_share=0.0, schedule="constant", weight_decay=0.0, max_grad_norm=1e9)
NOTHING = FrozenConfig(embeddings=False, blocks=0.0, prefix=False)
TEACHING = TrainingConfig(
    shuffle_seed=0, epochs=1, groups_a_step=1, frozen=NOTHING, dev_points=1, fit=FIT,
)  # fmt: skip
AKL = DistillConfig(loss="akl", mu=0.7, mu_start=None, alpha=0.5, chunk_rows=3)


@pytest.fixture(autouse=True)
def small_groups(monkeypatch, tmp_path):
    """Four packs of two rows; scratch folders in the test's own."""
    monkeypatch.setattr(general, "ROWS_A_GROUP", 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def models(bpe, tmp_path):
    """A teacher; students that are it and half of it, each with the whole vocabulary and with the texts' own."""
    teacher = random_model(bpe)
    save(teacher, bpe, tmp_path / "teacher")
    for name, blocks in (("same", [0, 1, 2, 3]), ("half", [0, 2])):
        model = load_model(tmp_path / "teacher")
        keep_layers(model, blocks)
        save(model, bpe, tmp_path / f"{name}_whole")
        save(*trim_vocabulary(model, bpe, pieces(DATA, bpe)), tmp_path / f"{name}_trimmed")
    return tmp_path


def taught(models, student, out="out", data=DATA, teaching=TEACHING, cfg=AKL):
    plan = TrainingPlan(rows=data, cfg=teaching, teacher=AskedModel(models / "teacher"), divergence=cfg)
    return learned(plan, models, student, out)


def learned(plan, models, base, out):
    train(plan, Job(models / base, models / out, models / f"{out}.csv", MACHINE))
    with (models / f"{out}.csv").open() as file:
        return list(csv.DictReader(file))


def by_hand(models, student):
    """Loss and gradient norm of one step over all rows: each alone, unpacked, in plain torch."""
    teacher, model = load_model(models / "teacher"), load_model(models / student)
    full, own = load_tokenizer(models / "teacher"), load_tokenizer(models / student)
    place = full.get_vocab()
    tokens = sorted(own.get_vocab(), key=own.get_vocab().get)
    columns = torch.tensor([place[token] for token in tokens])
    terms = []
    for mine, its in zip(DATA.branches(own), DATA.branches(full), strict=True):
        at = slice(len(its.prompt) - 1, len(its.prompt) + len(its.response) - 1)
        with torch.no_grad():
            p_NS = teacher(torch.tensor([its.prompt + its.response])).logits[0, at][:, columns].softmax(-1)
        log_q_NS = model(torch.tensor([mine.prompt + mine.response])).logits[0, at][:, : len(tokens)].log_softmax(-1)
        terms += [akl(p, log_q) for p, log_q in zip(p_NS, log_q_NS, strict=True)]
    mean = torch.stack(terms).mean()
    mean.backward()
    norm = torch.cat([one.grad.flatten() for one in model.parameters()]).norm()
    return mean.item(), norm.item()


def akl(p, log_q, mu=0.7):
    q = log_q.exp()
    order = p.argsort(descending=True)
    size = int((p[order].cumsum(0) < mu - 1e-6).sum()) + 1
    gap = (p - q).abs().detach()
    alpha = gap[order[:size]].sum() / gap.sum()
    return alpha * (p * (p.log() - log_q)).sum() + (1 - alpha) * (q * (log_q - p.log())).sum()


@pytest.mark.parametrize("student", ["half_whole", "half_trimmed"])
def test_a_step_is_that_of_the_dense_loss_made_by_hand(models, student):
    """The seven padded rows of the teacher, and what a trimmed student has not, are cut before the softmax."""
    (row,) = taught(models, student, teaching=replace(TEACHING, groups_a_step=4))
    loss, norm = by_hand(models, student)
    assert float(row["loss"]) == pytest.approx(loss, rel=1e-4) and loss > 0.1
    assert float(row["grad_norm"]) == pytest.approx(norm, rel=1e-3)


@pytest.mark.parametrize("loss", ["akl", "fkl", "rkl"])
@pytest.mark.parametrize("student", ["same_whole", "same_trimmed"])
def test_who_is_its_teacher_but_for_the_vocabulary_has_nothing_to_learn(models, student, loss):
    still = replace(TEACHING, fit=replace(FIT, learning_rate=1e-12))
    for row in taught(models, student, teaching=still, cfg=replace(AKL, loss=loss)):
        assert abs(float(row["loss"])) < 1e-5 and float(row["grad_norm"]) < 1e-3


def test_half_a_model_comes_nearer_to_the_whole_one(models):
    rows = taught(models, "half_trimmed", teaching=replace(TEACHING, epochs=5))
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])
    assert [row["dev_loss"] != "" for row in rows] == [False] * (len(rows) - 1) + [True]


def test_a_killed_recovery_ends_with_the_same_bytes(models):
    taught(models, "half_trimmed", "through")
    with killed_before_step(2):
        taught(models, "half_trimmed", "killed")
    taught(models, "half_trimmed", "killed")
    assert bytes_of(models / "killed") == bytes_of(models / "through")
    assert (models / "killed.csv").read_bytes() == (models / "through.csv").read_bytes()


def test_texts_that_the_student_spells_in_other_tokens_are_left_out_and_too_many_refused(models, capfd):
    few, many = (replace(DATA, train=[*DATA.train, *[OTHER] * count]) for count in (1, 9))
    rows = taught(models, "half_trimmed", "few", data=few)
    assert [row["loss"] for row in rows] == [row["loss"] for row in taught(models, "half_trimmed", "none")]
    assert "1 of 9 general texts are left out" in capfd.readouterr().out
    assert len(taught(models, "half_whole", "whole", data=many)) == 9, "17 rows, two a step"
    with pytest.raises(UserError, match=r"half_trimmed spells 8 of 17 general texts in the tokens of its teacher"):
        taught(models, "half_trimmed", "never", data=many)
    assert not (models / "never").exists()


def test_a_teacher_with_fewer_tokens_than_its_student_is_refused(models):
    with pytest.raises(UserError, match=r"same_trimmed: the student has \d+ tokens that this teacher has not"):
        plan = TrainingPlan(rows=DATA, cfg=TEACHING, teacher=AskedModel(models / "same_trimmed"), divergence=AKL)
        learned(plan, models, "half_whole", "never")


def test_a_corrected_teacher_answers_the_texts_better(models):
    plan = TrainingPlan(rows=DATA, cfg=replace(TEACHING, epochs=4), teacher=None, divergence=None)
    rows = learned(plan, models, "teacher", "corrected")
    assert len(rows) == 16 and float(rows[-1]["loss"]) < float(rows[0]["loss"]) - 0.5
