"""RL history: what each reinforcement learning run earned, and how its replies changed (paper Tables 3 and 11)."""

from pathlib import Path

from supertiny.core.files import write_json
from supertiny.core.stage import run
from supertiny.rl.history import history


def main(teacher_rl: Path, tiny_rl: Path, tiny_star_rl: Path, out: Path) -> None:
    """Gather the logs of the three runs; write their curves, beginnings and ends to `out`."""
    write_json(out, history({"teacher_rl": teacher_rl, "tiny_rl": tiny_rl, "tiny_star_rl": tiny_star_rl}))


if __name__ == "__main__":
    run(main)
