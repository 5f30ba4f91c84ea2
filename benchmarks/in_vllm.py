"""Greedy answers of one checkpoint folder by vLLM: for `benchmarks.serving`, in the environment that has vLLM.

    python benchmarks/in_vllm.py FOLDER < request.json > answer.json

Reads `{"prompts": [[token ids]], "max_new_tokens": 48, "dtype": "float32"}` and writes
`{"texts": [...], "version": "..."}`.
It imports nothing of supertiny, which that environment need not have.
"""

import json
import os
import sys


def main(folder: str) -> None:
    """Load the folder as a server would, answer all prompts."""
    asked = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM prints what it does
    import vllm

    longest = max(map(len, asked["prompts"])) + asked["max_new_tokens"]
    engine = vllm.LLM(folder, dtype=asked["dtype"], enforce_eager=True, max_model_len=longest, max_num_seqs=8)
    sampling = vllm.SamplingParams(temperature=0.0, max_tokens=asked["max_new_tokens"])
    done = engine.generate([{"prompt_token_ids": ids} for ids in asked["prompts"]], sampling)
    json.dump({"texts": [one.outputs[0].text for one in done], "version": vllm.__version__}, answers)
    answers.close()


if __name__ == "__main__":
    main(sys.argv[1])
