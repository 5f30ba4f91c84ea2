"""Judge: train the classifier judge, and measure every judge against the experts before any is used (paper 3.1)."""

from pathlib import Path

from supertiny.core.config import load, load_profile, seed
from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.judge.calibrate import calibrate_each, check
from supertiny.judge.classifier import LABELS, classifier, training_rows
from supertiny.judge.kinds import JudgeConfig, by_reference
from supertiny.judge.trial import read_trial
from supertiny.model.fit import TrainMachine
from supertiny.model.labelling import LabellingConfig, label_log_probabilities, train_labeller


def main(
    encoder: Path, functions: Path, expert: Path, verdicts: Path, injections: Path, model: Path, log: Path, out: Path
) -> None:
    """Train `encoder` on half of the `verdicts` (to `model`, `log`), measure all judges on the other (to `out`)."""
    cfg, training = load("judge", JudgeConfig), load("judge_classifier", LabellingConfig)
    machine = load_profile("train", TrainMachine)
    learnt, held_out = read_trial(functions, expert, verdicts, injections).halves(seed())
    rows, dev = training_rows(learnt), training_rows(held_out)
    labeller = train_labeller(encoder, LABELS, rows, dev, model, log, training, machine, seed())
    judges = {
        "reference": by_reference,
        "classifier": classifier(label_log_probabilities(labeller), held_out.pool, cfg.threshold),
    }
    results = calibrate_each(judges, cfg, held_out, seed())
    write_json(out, {"kind": cfg.kind, "min_agreement": cfg.min_agreement, "judges": results})
    check(results, cfg)


if __name__ == "__main__":
    run(main)
