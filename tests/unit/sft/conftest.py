from tests.unit.compress.conftest import bpe  # noqa: F401
