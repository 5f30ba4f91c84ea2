"""A stage's command line: its paths from the signature of `main`, its errors in one clear line."""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from supertiny.core.errors import UserError


def run(main: Callable[..., None]) -> None:
    """Call `main` with one `--name` option per parameter (Path, or str where annotated so); exit 1 on a UserError."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(main), allow_abbrev=False)
    for name, parameter in inspect.signature(main).parameters.items():
        kind = parameter.annotation if parameter.annotation in (Path, str) else Path
        optional = parameter.default is not inspect.Parameter.empty
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=kind,
            required=not optional,
            default=parameter.default if optional else None,
        )
    try:
        main(**vars(parser.parse_args()))
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; what is resumable goes on at the next run")
