"""The hash of a script's code: what changes it, and what it reaches."""

import pytest

from supertiny.core.code import Choices, Tree, code_hash
from supertiny.core.errors import UserError

ENGINES = {"native": {"chat": "supertiny.engines.native"}, "vllm": {"chat": "supertiny.engines.vllm"}}
FILES = {
    "stages/ask.py": "from supertiny import engines\nfrom supertiny.core.calls import read\n"
    "engines.chosen('chat')(read)\n",
    "stages/fixed.py": "from supertiny import engines\nengines.get('native', 'chat')\n",
    "stages/other.py": "import json\n",
    "src/supertiny/__init__.py": '"""All."""\n',
    "src/supertiny/core/__init__.py": "",
    "src/supertiny/core/calls.py": "from supertiny.core import text\n\n\ndef read(): return text.TABLE\n",
    "src/supertiny/core/text.py": "TABLE = 3\n",
    "src/supertiny/engines/__init__.py": "",
    "src/supertiny/engines/native.py": "def chat(): ...\n",
    "src/supertiny/engines/vllm.py": "from supertiny.engines.worker import start\n",
    "src/supertiny/engines/worker.py": "start = 1\n",
    "src/supertiny/engines/job.py": "job = 1\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return Tree(tmp_path)


def names(tree, script, engine="native", more=(), also=None):
    choices = Choices(ENGINES, {"chat": engine}, also or {})
    found = tree.reached(tree.top / "stages" / script, choices, more)
    return [path.relative_to(tree.top).as_posix() for path in found], code_hash(found)


def test_imports_are_followed_and_an_engine_counts_where_it_is_chosen(tree):
    found, native = names(tree, "ask.py")
    assert found[0] == "stages/ask.py" and "src/supertiny/core/text.py" in found
    assert "src/supertiny/engines/native.py" in found and "src/supertiny/engines/vllm.py" not in found
    found, vllm = names(tree, "ask.py", "vllm")
    assert "src/supertiny/engines/worker.py" in found and "src/supertiny/engines/native.py" not in found
    assert native != vllm
    assert "src/supertiny/engines/native.py" in names(tree, "fixed.py", "vllm")[0]
    assert names(tree, "other.py")[0] == ["stages/other.py"]


def test_what_is_started_by_name_and_what_a_table_names_count_too(tree):
    assert "src/supertiny/engines/job.py" in names(tree, "ask.py", also={"native": ["supertiny.engines.job"]})[0]
    assert "src/supertiny/engines/job.py" in names(tree, "other.py", more=["supertiny.engines.job"])[0]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("TABLE = 3", "TABLE = 3  # of legs", True),
        ("TABLE = 3", '"""What stands."""\n\nTABLE = 3\n"""of legs"""', True),
        ("TABLE = 3", "TABLE = (\n    3\n)", True),
        ("TABLE = 3", "TABLE = 4", False),
        ("TABLE = 3", 'TABLE = "3"', False),
    ],
)
def test_wording_and_layout_change_nothing_and_code_does(tree, old, new, same):
    before = names(tree, "ask.py")[1]
    path = tree.top / "src/supertiny/core/text.py"
    path.write_text(path.read_text().replace(old, new))
    assert (names(tree, "ask.py")[1] == before) == same
    assert names(tree, "other.py")[1] == names(tree, "other.py")[1]


def test_an_import_of_what_is_not_there_names_the_file_that_asks_for_it(tree):
    (tree.top / "src/supertiny/core/text.py").unlink()
    with pytest.raises(UserError, match=r"stages/ask\.py: imports supertiny\.gone\.by, which is not there"):
        (tree.top / "stages/ask.py").write_text("from supertiny.gone import by\n")
        names(tree, "ask.py")


def test_what_a_module_binds_in_any_way_is_there(tree):
    (tree.top / "src/supertiny/a.py").write_text(
        "import os.path\nimport json as js\nA: int = 1\nB, (C, *D) = 1, (2, 3)\n"
        "try:\n    from x import E\nexcept ImportError:\n    E = None\n"
        "if A:\n    def f(): inner = 1\nasync def g(): ...\nclass H: ...\nfor i in (): ...\n"
    )
    asks = tree.top / "stages/asks.py"
    asks.write_text(
        "from supertiny.a import os, js, A, B, C, D, E, f, g, H, i\nfrom supertiny import a\nimport supertiny\n"
    )
    names(tree, "asks.py")
    asks.write_text("from supertiny.a import inner\n")
    with pytest.raises(UserError, match="inner"):
        names(tree, "asks.py")


def test_a_file_that_is_no_python_is_named_with_its_line(tree):
    (tree.top / "src/supertiny/core/text.py").write_text("TABLE = 3\nTABLE = (\n")
    with pytest.raises(UserError, match=r"text\.py, line 2"):
        names(tree, "ask.py")
