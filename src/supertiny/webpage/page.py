"""One HTML file without a script or a link: the page of results with its pictures, parameters, stages, provenance."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from markdown_it import MarkdownIt

from supertiny.core.errors import UserError
from supertiny.core.git import Provenance
from supertiny.report.page import STEPS

TEMPLATE = Path(__file__).with_name("page.html")
PLACES = {
    "pareto": "Quality and cost",
    "functions": "Where the in-domain answers fail",
    "response": "Response time",
    **{name: step.heading for name, step in STEPS.items()},
}
"""picture -> how the heading begins that it stands under; any other has a section of its own at the end"""
HEADINGS = {"learning": "Learning curves"}
"""of those"""
CAPTIONS = {
    "pareto": "Achievable Rate against cost; the line joins the models that no other beats in both (paper Figure 3)",
    "functions": "Achievable Rate of each function by each model, the easiest first",
    "response": "Response times as ratios to those of one system (paper Figure 5)",
    "learning": "Learning curves of every run: fine-tuning, distillation, recovery",
    "distance": "Divergence from the teacher, the histogram of alpha, and where mu decides anything",
    "rl": "Rewards and replies in reinforcement learning",
    "compression": "The importance of every block, and the perplexity of every searched shape",
    "retrieval": "Recall@k of every retriever",
    "judge": "What each judge calls right",
    "ablation": "Achievable Rate of each variant of the prototype",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where the figures come from."""

    origin: Provenance
    profile: str
    files: Mapping[str, str]
    """name -> text of the parameter files"""
    stages: Mapping[str, str]
    """such as distill@tiny -> what it does, in the order of dvc.yaml"""


def html_page(results: str, pictures: Mapping[str, bytes], project: Project) -> str:
    """`results`: the page of results in Markdown; `pictures`: name -> SVG."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    title, *texts = f"\n{results}".split("\n## ")
    sections = [(heading, markdown.render(body)) for heading, _, body in (text.partition("\n") for text in texts)]
    if not sections:
        raise UserError("metrics/results.md has no sections; run `dvc repro report`")
    left, shown = dict(pictures), []
    for heading, body in sections:
        own = [name for name in left if heading.startswith(PLACES.get(name, "\n"))]
        shown.append((heading, body + "".join(_figure(name, left.pop(name)) for name in own)))
    shown += [(HEADINGS.get(name, name), _figure(name, svg)) for name, svg in left.items()]
    shown += [("Stages", _stages(project.stages)), ("Parameters", _files(project.files))]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        intro=markdown.render(title.partition("\n\n")[2]),
        origin=_origin(project),
        nav="".join(f'<li><a href="#s{at}">{escape(heading)}</a></li>' for at, (heading, _) in enumerate(shown)),
        sections="".join(_section(f"s{at}", heading, body) for at, (heading, body) in enumerate(shown)),
    )


def _section(anchor: str, heading: str, body: str) -> str:
    body = body.replace("<table", '<div class="wide"><table').replace("</table>", "</table></div>")
    return f'<section id="{anchor}"><h2>{escape(heading)}</h2>{body}</section>\n'


def _figure(name: str, svg: bytes) -> str:
    """A picture as an image of its own: the ids and styles of two SVGs in one page would be mixed up."""
    caption = escape(CAPTIONS.get(name, name))
    source = f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
    return f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>\n'


def _origin(project: Project) -> str:
    rows = {
        "git revision": project.origin.revision,
        "dvc.lock, sha256": project.origin.lock_sha256,
        "profile": project.profile,
    }
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())


def _stages(stages: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(what)}</td></tr>" for name, what in stages.items())
    return f'<table class="text"><tbody>{rows}</tbody></table>'


def _files(files: Mapping[str, str]) -> str:
    return "".join(
        f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>" for name, text in files.items()
    )
