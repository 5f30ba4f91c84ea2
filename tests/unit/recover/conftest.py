from tests.unit.prune.conftest import bpe  # noqa: F401
