"""Judge: train the classifier judge, and measure every judge against the experts before any is used (paper 3.1)."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from supertiny import engines
from supertiny.core.ask import ChatMachine
from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.model.classifier import label_log_probabilities, train_labeller
from supertiny.model.config import TrainMachine
from supertiny.model.train import Job
from supertiny.prototype.calibrate import calibrate, check
from supertiny.prototype.config import JudgeConfig, JudgeSizes
from supertiny.prototype.judges import LABELS, choose, read_trial, training_rows


def main(llm: Path, encoder: Path, data: Path, model: Path, log: Path, out: Path) -> None:
    """Train `encoder` on half of the verdicts in `data` (to `model`, `log`), measure all on the other (to `out`)."""
    cfg, job = load("judge", JudgeConfig), Job(encoder, model, log, load_profile("train", TrainMachine))
    chat = engines.chosen("chat")(llm, load_profile("chat", ChatMachine))
    learnt, held_out = read_trial(data).halves(seed())
    rows, dev = training_rows(learnt), training_rows(held_out)
    labeller = train_labeller(job, LABELS, rows, dev, cfg.classifier, seed())
    label = partial(label_log_probabilities, labeller)
    kinds = {kind: replace(cfg, kind=kind) for kind in cfg.calibrate}
    judges = {kind: choose(one, held_out.pool, label, lambda: chat) for kind, one in kinds.items()}
    few = held_out.first(load_profile("sizes.judge", JudgeSizes).llm_examples)
    trials = {kind: few if kind == "llm" else held_out for kind in judges}
    results = {kind: calibrate(judge, trials[kind], seed()) for kind, judge in judges.items()}
    gate = {"min_agreement": cfg.min_agreement, "max_flipped": cfg.max_flipped}
    write_json(out, {"kind": cfg.kind, **gate, "judges": results})
    check(results, cfg)


if __name__ == "__main__":
    run(main)
