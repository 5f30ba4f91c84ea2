"""The pages, and the command lines on them that a reader types: what a test runs of them, it takes from here."""

import re
import shlex

from supertiny.commands.init import data_readme, project_readme
from tests.house import ROOT

PATHS = (ROOT / "README.md", ROOT / "benchmarks/README.md", *(ROOT / "docs").glob("*.md"))
PAGES = {
    **{str(path.relative_to(ROOT)): path.read_text() for path in PATHS},
    "readme of a new project": project_readme("voice", "ok") + data_readme(),
}
OURS = r"(?:[A-Z_]+=\S+ )?(?:dvc|supertiny|make|python -m (?:stages|benchmarks|tests)\.\w+) "


def lines(page: str) -> list[str]:
    """Every command line: those of bash blocks, whole and without comments, and ours in code in the text."""
    blocks = "\n".join(re.findall(r"(?ms)^```bash\n(.*?)^```", page))
    typed = [re.sub(r"(?:^|\s)#.*", "", line) for line in re.sub(r"\\\n\s*", "", blocks).splitlines()]
    text = re.sub(r"(?ms)^```.*?^```", "", page)
    spans = [" ".join(code.split()) for code in re.findall(r"`((?:[^`\n]|\n(?!\n))+)`", text)]
    return [line.strip() for line in [*typed, *(code for code in spans if re.match(OURS, code))] if line.strip()]


LINES = {(page, line) for page, text in PAGES.items() for line in lines(text)}
TYPED = {line for _, line in LINES}


def documented(line: str, **values: str) -> str:
    """A line that a page has, for a test that runs it, with `values` for what stands in it in <...>."""
    assert line in TYPED, f"no page has this line: {line}"
    for name, value in values.items():
        assert f"<{name}>" in line
        line = line.replace(f"<{name}>", value)
    return line


def commands(line: str) -> list[list[str]]:
    """The words of each command of a line: `a && b; c` is three; what $(...) holds are others."""
    inner = re.findall(r"\$\(([^()]*)\)", line)
    lexer = shlex.shlex(re.sub(r"\$\([^()]*\)", "", line), posix=True, punctuation_chars=";|&")
    lexer.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in lexer:
        if word and set(word) <= set(";|&"):
            found.append([])
        elif word != "do" or found[-1]:
            found[-1].append(word)
    return [words for words in found if words] + [words for one in inner for words in commands(one)]
