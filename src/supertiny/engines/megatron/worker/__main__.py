"""A worker: `torchrun ... -m supertiny.engines.megatron.worker <folder of the job>`."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from supertiny.core.errors import UserError
from supertiny.core.files import write_text
from supertiny.engines.megatron.train import ERROR, read


def main() -> None:
    """Do the job of the folder given; a UserError is left there for whoever started the workers."""
    folder = Path(sys.argv[1])
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "1")  # tensor-parallel sums overlap as they were issued
    try:
        if find_spec("megatron") is None:
            raise UserError(
                "engine 'megatron' needs Megatron-Core where its workers run: pip install --no-deps "
                "megatron-core==0.16.1, or pip install -c constraints.txt -e '.[megatron]'"
            )
        from supertiny.engines.megatron.worker.run import run

        run(read(folder), folder)
    except UserError as error:
        write_text(folder / ERROR, str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
