"""What a new project says of itself."""


def project_readme(name: str, report: str) -> str:
    """The first page: the commands of every day, what the data looked like, and the place of the results."""
    return f"""# {name}

A super-tiny model for one function-calling task, made by supertiny: `data/own/` holds the task's functions and queries,
`params.yaml` every hyperparameter, `profiles/` the machines, `dvc.yaml` the graph. `src/` and `stages/` are a copy of
supertiny's code, which is now this project's own: what is changed here reruns here.

```bash
supertiny doctor                                 # what this machine lacks
dvc repro                                        # everything; again: only what changed
dvc metrics show
dvc exp run -S sft.fit.learning_rate=3.0e-4      # one experiment
```

`make repro` does the same in an environment of its own (`.venv`), `make readme` copies the results to this page.
Commit `dvc.lock` and `metrics/` with what you changed. To share what was built, `dvc remote add -d shared`
with an address, then `dvc push`.

## The data

As `supertiny init` found it:

```
{report.rstrip()}
```

## Results

<!-- results:begin -->
<!-- results:end -->
"""


def data_readme() -> str:
    """What the files of data/own are."""
    return """The task's data (`dataset.source: own` in `params.yaml`), read by stage `dataset` and checked at the door:

- `functions.json`: a list of tools in the OpenAI schema,
- `queries.jsonl`: one query a line, labelled or not,
- `verdicts.jsonl` where `dataset.own.verdicts` names it: replies that experts judged,
- `knowledge.json` where `dataset.own.knowledge` names it: a list of `{"term": ..., "explanation": ...}`.

git tracks them, so that a clone and a queued experiment have them. A change of any file here reruns stage `dataset`.
What is too large or too private for git goes to DVC: `git rm --cached data/own/queries.jsonl`, then
`dvc add data/own/queries.jsonl`.
"""
