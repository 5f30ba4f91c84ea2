"""Handmade result files, as the stages write them."""

import csv
import json
from pathlib import Path

import pytest

from supertiny.report.rows import Results
from supertiny.report.steps.rl import FOLLOWED, KEPT

WORKLOAD = {"prompt_tokens": 85.2, "uncached_tokens": 70.1, "new_tokens": 18.0}
MACHINE = {"cpu": "Some CPU", "cores": 2, "memory_gib": 8, "system": "Linux", "python": "3.11.9", "torch": "2.13"}
STATS = {
    "test_size": 2000,
    "functions": 71,
    "parameters": 209,
    "ttr": 0.0313,
    "entropy_bits": 7.2,
    "splits": {"test": {"rows": 2000}},
}

RECALL = {"test": {"5": 0.9, "10": 1.0}, "ood": {"5": 0.3, "10": 0.3}, "ood_unseen": {"5": 0.0, "10": 0.0}}
INJECTIONS = {
    "n": 8,
    "judged_right": 0.25,
    "judged_right_without": 0.125,
    "n_wrong_without": 7,
    "flipped": 0.125,
    "by_place": {"query": 0.25},
}
SHAPE = ("layers", "hidden", "inter", "parameters_m", "gflops", "perplexity")
FOUND = {
    "retrieval": {
        "classifier": {"extensible": False, "recall": RECALL, "n": {"test": 40, "ood": 30, "ood_unseen": 20}},
        "zero_shot": {"extensible": True, "recall": {"test": {"5": 0.5, "10": 0.75}}, "n": {"test": 4}},
    },
    "descriptions": {
        "judge": "reference",
        **{"queries": 5, "described": 20, "empty": 1, "different": 16, "reference_within": 8},
        **{"reference_within_share": 0.5, "right": 7, "kept": 6, "queries_with_kept": 3, "labelled": 30},
        "by_function": {"light_on": {"tried": 10, "kept": 6}, "lock": {"tried": 6, "kept": 0}},
    },
    "judge": {
        "kind": "reference",
        "min_agreement": 0.93,
        "max_flipped": 0.0,
        "judges": {
            "reference": {
                **{
                    "n": 20,
                    "examples": 6,
                    "clusters": 4,
                    "agreement": 0.95,
                    "agreement_low": 0.9,
                    "agreement_high": 1.0,
                    "kappa": 0.9,
                },
                **{"precision": 1.0, "recall": 0.9, "unreadable": 0},
                "by_kind": {
                    "right": {"correct": True, "n": 9, "judged_right": 1.0},
                    "equivalent": {"correct": True, "n": 1, "judged_right": 0.0},
                    "wrong value": {"correct": False, "n": 10, "judged_right": 0.0},
                },
                "injections": {**INJECTIONS, "flipped": 0.0},
            },
            "llm": {
                **{
                    "n": 12,
                    "examples": 6,
                    "clusters": 4,
                    "agreement": 0.5,
                    "agreement_low": 0.25,
                    "agreement_high": 0.75,
                    "kappa": 0.0,
                },
                **{"precision": None, "recall": 0.0, "unreadable": 3},
                "by_kind": {
                    "right": {"correct": True, "n": 4, "judged_right": 0.25},
                    "wrong value": {"correct": False, "n": 10, "judged_right": None},
                },
                "injections": INJECTIONS,
            },
        },
    },
    "rft": {
        "judge": "reference",
        **{"answered": 10, "accepted": 4, "labelled": 60, "precision": 0.75, "recall": None},
        **{"full_prompt_tokens": 1234.5, "compressed_prompt_tokens": 150.2},
        "by_function": {"light_on": {"kept": 3, "dropped": 1}, "lock": {"kept": 1, "dropped": 5}},
    },
    "logits": {
        **{"examples": 30, "tokens": 500, "shards": 1, "bytes": 9000, "bytes_per_token": 18.0, "ids_per_token": 4.5},
        **{"missing_mass": 3.2e-5, "top1_probability": 0.98},
        **{"top_k": 100, "top_p": 0.9999, "min_k": 4, "temperature": 1.0},
    },
    "distance": {
        "loss": "akl",
        "mu": 0.7,
        "models": {
            name: {
                **{"tokens": 10, "alpha_mean": 0.4, "alpha_histogram": [1] * 10, "top1_below_mu": 0.1},
                "top1_histogram": [0] * 9 + [10],
                **{"missing_mass": 1e-5, "akl_nats": nats, "fkl_nats": nats, "rkl_nats": nats},
                "slots": {
                    slot: {"tokens": 5, "akl_nats": nats, "fkl_nats": nats, "rkl_nats": nats}
                    for slot in ("function name", "values")
                },
            }
            for name, nats in (("before", 2.0), ("rft", 0.4), ("kd", 0.2))
        },
    },
    "compression": {
        "rows": {
            "p30": {
                **{"title": "pruned", "base": "teacher", "n": 20, "ar": 0.8, "ar_low": 0.6, "ar_high": 0.95},
                **{"base_ar": 0.9, "difference": -0.1, "difference_low": -0.2, "difference_high": 0.0},
                **{"recovery": 0.8889, "gate": None},
            },
            "w4a16": {
                **{"title": "the same, W4A16", "base": "pruned", "n": 20, "ar": 0.7, "ar_low": 0.5, "ar_high": 0.9},
                **{"base_ar": 0.8, "difference": -0.1, "difference_low": -0.2, "difference_high": 0.0},
                **{"recovery": 0.875, "gate": 0.95},
            },
        },
        "smallest": {
            **{"name": "sft", "n": 20, "ar": 0.9, "ar_low": 0.7, "ar_high": 1.0, "base_ar": 0.9, "recovery": 1.0},
            **{"difference": 0.0, "difference_low": 0.0, "difference_high": 0.0, "gate": None},
        },
        "costs": {
            name: {"weights_mb": size, "gflops_gemm": size / 10}
            for name, size in {"prototype": 500.0, "sft": 500.0, "p30": 250.0, "w4a16": 50.0}.items()
        },
        "prototype": {"weights_mb": 500.0, "gflops_gemm": 50.0},
        "titles": {"prototype": "prototype", "sft": "teacher", "p30": "pruned", "w4a16": "the same, W4A16"},
        "searches": {
            "p30": {
                "base": dict(zip(SHAPE, (30, 576, 1536, 107.4, 33.1, 1.02), strict=True)),
                "budget": "0.7 of the base's parameters",
                "rows": [
                    dict(zip(SHAPE, (20, 576, 1536, 71.9, 22.0, 3.5), strict=True)) | {"chosen": True},
                    dict(zip(SHAPE, (30, 512, 1024, 74.0, 23.0, 9.25), strict=True)) | {"chosen": False},
                ],
            }
        },
        "importance": [0.5, 0.125, 0.25],
    },
    "rl": {
        "models": {
            name: {
                **{"title": title, "tokens": tokens},
                **{
                    column: {
                        **{"n": 20, "ar": ar, "ar_low": ar - 0.1, "ar_high": ar + 0.1},
                        **dict(zip(("difference", "difference_low", "difference_high"), difference, strict=True)),
                    }
                    for column in ("test", "ood", "ood_seen", "ood_unseen")
                },
            }
            for name, title, tokens, ar, difference in (
                ("sft", "teacher", 18.0, 0.8, (None, None, None)),
                ("teacher_rl", "teacher, RL", 51.5, 0.7, (-0.1, -0.2, 0.0)),
            )
        },
        "runs": {
            "teacher_rl": {
                "steps": 2,
                "first": dict.fromkeys(FOLLOWED, 0.25),
                "last": dict.fromkeys(FOLLOWED, 0.5),
                "best": {"step": 1.0, "dev_reward": 2.5, "start_reward": 2.0},
                "curve": [
                    {"step": 1.0, **dict.fromkeys(FOLLOWED, 0.25)},
                    {"step": 2.0, **dict.fromkeys(FOLLOWED, 0.5), "dev_reward": None, "dev_ar": None},
                ],
            }
        },
        "traces": [{"policy": "teacher_rl", "asked": 30, "kept": 25, "rule_made": 5, "words": 31.5}],
    },
    "ablation": {
        name: {
            "change": change,
            "right": {"d1": name == "chosen"},
            **{"n": 60, "ar": ar, "ar_low": ar - 0.1, "ar_high": ar + 0.1, "function_accuracy": 0.6, "failures": {}},
            **dict(zip(("difference", "difference_low", "difference_high"), difference, strict=True)),
            "needing_knowledge": {"n": 0, "ar": None},
            **{"prompt_tokens": 900.5, "uncached_tokens": 900.5, "new_tokens": 20.0},
        }
        for name, change, ar, difference in (
            ("chosen", {}, 0.4, (None, None, None)),
            ("no_knowledge", {"knowledge": False, "num_examples": 2}, 0.3, (-0.1, -0.15, 0.05)),
        )
    },
    "adapter": {
        **{"functions": 71, "domains": 12, "answers": 700, "come_back": 699},
        "losses": [{"function": "lock", "parameter": None, "why": "a refusal"}],
    },
}

"""step -> what it shows, as it is read or made of what was read"""
FILED = ("retrieval", "descriptions", "judge", "rft", "logits", "distance", "ablation")
"""steps that are one result file each"""


def rate(n: int, ar: float | None, functions: dict[str, float] | None = None) -> dict:
    known = ar is not None
    return {
        "n": n,
        "clusters": n // 4,
        "ar": ar,
        "ar_low": ar - 0.05 if known else None,
        "ar_high": ar + 0.05 if known else None,
        "exact_match": ar / 2 if known else None,
        "function_accuracy": ar if known else None,
        "failures": {"unparseable": 0.0 if known else None, "wrong value": 1 - ar if known else None},
        "by_function": {name: {"n": 5, "ar": value} for name, value in (functions or {}).items()},
        "by_tag": {"knowledge": {"n": 11, "ar": 0.75}} if n == 400 else {},
        "ar_by": {},
    }


def result_files(ar: float = 0.8, gflops: float = 20.0, qps: float = 4.0, machine: dict | None = None) -> dict:
    rates = {
        "test": rate(400, ar, {"light_on": 0.9, "lock": 0.7}),
        "ood": rate(300, ar / 2, {"vacuum": 0.4}),
        "ood_seen": rate(300, ar / 2),
        "ood_unseen": rate(0, None),
        "without_knowledge": rate(11, 0.25),
        "grown": rate(30, 0.625),
        "workload": WORKLOAD,
    }
    costs = {"gflops_paper": gflops * 0.9, "gflops_gemm": gflops, "parameters_m": 134.5, "weights_mb": 538.0}
    times = {"p50_ms": 250.0, "p95_ms": 400.0, "p99_ms": 500.0, "tokens_per_s": 70.0}
    rounds = {
        "cc1": {"requests": 4, "qps": qps, **times, "errors": 0, "differing": 1},
        "cc64": {"requests": 128, "qps": 2 * qps, **times, "errors": 2, "differing": 0},
    }
    bench = {"engine": "native", "machine": machine or MACHINE, "rounds": rounds, "peak_memory_mb": 900.5}
    return {"rates": rates, "cost": costs, "bench": bench}


@pytest.fixture
def sft() -> Results:
    return Results(title="fine-tuned", **result_files())


@pytest.fixture
def tiny() -> Results:
    return Results(title="tiny", **result_files(ar=0.6, gflops=0.5, qps=90.0))


CONFIG = {
    **{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4},
    **{"num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100, "tie_word_embeddings": True},
}
SEARCH = FOUND["compression"]["searches"]["p30"] | {"searched": True, "importance": [0.5, 0.125]}
PARAMS = """\
seed: 1
profile: smoke
prompt: {describe: false, history_turns: 1, answer: json, rules: [], max_pool_tokens: 2000}
judge:
  kind: reference
  calibrate: [reference]
  min_agreement: 0.93
  max_flipped: 0.0
  threshold: 0.5
  chat: {temperature: 0.0, max_new_tokens: 160}
  classifier:
    epochs: 3
    texts_a_step: 16
    dev_points: 1
    fit: {learning_rate: 3.0e-4, warmup_share: 0.1, schedule: linear, weight_decay: 0.01, max_grad_norm: 1.0}
trained:
  sft: {sft: {base: llm}}
  shrink: {tiny_cut: {base: sft, of: parameters}, small: {base: sft}}
  quantize: {tiny: {base: tiny_cut, scheme: w8a16}}
  rl: {tiny_rl: {base: tiny}}
systems:
  sft: {kind: model, model: sft, asked: models, title: fine-tuned}
  tiny: {kind: model, model: tiny, asked: compressed, title: tiny}
served:
  sft: {kind: model, model: sft, asked: models, title: fine-tuned}
  tiny: {kind: model, model: tiny, asked: compressed, title: tiny}
traces: {}
"""
LOCK = {"name": "lock", "domain": "home", "description": "Locks", "parameters": {}}


CALL = '{"name": "lock", "arguments": {}}'
FRAME = '{"domain": "home", "intent": "lock", "slots": {}}'


def answer(name: str, *, correct: bool = True, written: str = CALL) -> dict:
    """A row of answers.jsonl."""
    return {"id": name, "correct": correct, "written": written, "failure": None if correct else "wrong refusal"}


def write_answers(folder: Path, rows: list[dict]) -> None:
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_results(folder: Path, written: str = CALL, **changed: float) -> None:
    """The result files of one system, with the answers to two queries."""
    folder.mkdir(parents=True)
    files = result_files(**changed)
    del files["cost"]
    for kind, value in {**files, "size": {"config": CONFIG, "weights_mb": 0.5}}.items():
        (folder / f"{kind}.json").write_text(json.dumps(value))
    bare = answer("t1-bare", correct=False, written=written)
    write_answers(folder, [answer("t1", written=written), bare, answer("o1", written=written)])


def write_log(path: Path, columns: list[str], steps: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for step in range(1, steps + 1):
            dev = 2 / step if step in (500, 503, 1001) else ""
            row = {"loss": 2 / step, "learning_rate": 1e-4, "grad_norm": 1.0, "dev_loss": dev}
            writer.writerow(
                dict.fromkeys(columns, 0.5) | {"step": step} | {k: v for k, v in row.items() if k in columns}
            )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a params.yaml of two models, the second made of the first, and all their files."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    Path("profiles").mkdir()
    Path("profiles/smoke.yaml").write_text("{}\n")
    write_results(Path("results/sft"))
    write_results(Path("results/tiny"), ar=0.6, qps=90.0)
    for name, search in {"tiny_cut": SEARCH, "small": {"searched": False}}.items():
        Path("results", name).mkdir()
        Path("results", name, "search.json").write_text(json.dumps(search))
    for name in FILED:
        Path("results", f"{name}.json").write_text(json.dumps(FOUND[name]))
    Path("data").mkdir()
    Path("data/stats.json").write_text(json.dumps(STATS))
    Path("data/functions.json").write_text(json.dumps([{"type": "function", "function": LOCK}]))
    for name, tag in {"dev": "room", "test": "knowledge", "ood": "unseen"}.items():
        row = {"id": f"{name[0]}1", "query": "q", "candidates": ["lock"], "answers": [json.loads(CALL)], "tags": [tag]}
        Path(f"data/{name}.jsonl").write_text(json.dumps(row) + "\n")
    write_log(Path("logs/sft.csv"), ["step", "loss", "learning_rate", "grad_norm", "dev_loss"], 1001)
    write_log(Path("logs/tiny_rl.csv"), ["step", *FOLLOWED, *KEPT], 4)
    return tmp_path
