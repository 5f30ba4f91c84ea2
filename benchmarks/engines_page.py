"""What the load tests of `benchmarks.engines` say: tables and a picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from supertiny.report.pictures import COLOURS, MARKERS, canvas
from supertiny.report.tables import number, table

Rounds = Sequence[dict[str, Any]]
System = tuple[str, str]
"""(model, how it is served)"""


def tables(rounds: Rounds) -> str:
    """Queries a second, how much faster than the first way of serving the same model and than the first model served
    alike, response times, and the rest."""
    clients = list(dict.fromkeys(one["clients"] for one in rounds))
    systems = list(dict.fromkeys((one["model"], one["way"]) for one in rounds))
    first = dict(reversed(systems))

    def by_load(cell: Callable[[System, int], str]) -> str:
        head = ["model", "served by", *(f"cc {one}" for one in clients)]
        return table(head, [[*of, *(cell(of, cc) for cc in clients)] for of in systems])

    parts = [
        "Queries a second: the median over the repetitions [least, most].",
        by_load(lambda of, cc: _spread(rounds, of, cc)),
        f"Times the queries a second of the same model in {systems[0][1]}, repetition by repetition.",
        by_load(lambda of, cc: _ratio(rounds, of, (of[0], first[of[0]]), cc)),
        f"Times the queries a second of {systems[0][0]} served alike, repetition by repetition.",
        by_load(lambda of, cc: _ratio(rounds, of, (systems[0][0], of[1]), cc)),
        "Response time, ms: medians over the repetitions of p50 / p95 / p99.",
        by_load(lambda of, cc: _times(rounds, of, cc)),
        "Over all rounds: requests, errors, answers that differ from the native engine's unhurried ones; at the "
        "highest load tokens written a second and processor seconds a request; peak memory of the process.",
        table(
            ["model", "served by", "requests", "errors", "differing", "tokens a second", "CPU s", "memory, MB"],
            [[*of, *_rest(rounds, of, clients[-1])] for of in systems],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _of(rounds: Rounds, of: System, clients: int | None = None) -> list[dict[str, Any]]:
    """The rounds of one system, at one load or at all, in the order of repetitions."""
    return [one for one in rounds if (one["model"], one["way"]) == of and clients in (None, one["clients"])]


def _spread(rounds: Rounds, of: System, clients: int) -> str:
    return _middle([one["qps"] for one in _of(rounds, of, clients)])


def _ratio(rounds: Rounds, of: System, reference: System, clients: int) -> str:
    pairs = list(zip(_of(rounds, of, clients), _of(rounds, reference, clients), strict=False))  # none: not measured
    return _middle([mine["qps"] / other["qps"] if other["qps"] else 0.0 for mine, other in pairs]) if pairs else "-"


def _times(rounds: Rounds, of: System, clients: int) -> str:
    found = _of(rounds, of, clients)
    lists = [[one[name] for one in found if one[name] is not None] for name in ("p50_ms", "p95_ms", "p99_ms")]
    return " / ".join(number(median(one) if one else None, 0) for one in lists)


def _rest(rounds: Rounds, of: System, highest: int) -> list[str]:
    mine = _of(rounds, of)
    memory = [one["peak_memory_mb"] for one in mine if one["peak_memory_mb"] is not None]
    tokens = median(one["tokens_per_s"] for one in _of(rounds, of, highest))
    cpu = [one["cpu_s_a_request"] for one in _of(rounds, of, highest) if one["cpu_s_a_request"] is not None]
    counts = [number(sum(one[name] for one in mine)) for name in ("requests", "errors", "differing")]
    return [*counts, number(tokens, 0), number(median(cpu) if cpu else None), number(max(memory, default=None), 0)]


def _middle(values: Sequence[float]) -> str:
    return f"{number(median(values), 2)} [{number(min(values), 2)}, {number(max(values), 2)}]"


def draw(rounds: Rounds, out: Path) -> None:
    """Queries a second and p95 over the number of clients; bars reach from the least to the most."""
    clients = list(dict.fromkeys(one["clients"] for one in rounds))
    systems = list(dict.fromkeys((one["model"], one["way"]) for one in rounds))
    colours = {model: COLOURS[at % len(COLOURS)] for at, model in enumerate(dict.fromkeys(of[0] for of in systems))}
    ways = list(dict.fromkeys(of[1] for of in systems))
    with canvas(out, 10, 4.2) as figure:
        panels = {"qps": "queries a second (log)", "p95_ms": "response time p95, ms (log)"}
        for axes, (name, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for of in systems:
                values = [[one[name] or 0.0 for one in _of(rounds, of, cc)] for cc in clients]
                middles = [median(one) for one in values]
                below = [middle - min(one) for middle, one in zip(middles, values, strict=True)]
                above = [max(one) - middle for middle, one in zip(middles, values, strict=True)]
                way = ways.index(of[1])
                look = {"color": colours[of[0]], "marker": MARKERS[way], "linestyle": ("-", "--", ":")[way % 3]}
                axes.errorbar(clients, middles, [below, above], capsize=3, label=", ".join(of), **look)
            axes.set(xscale="log", yscale="log", xlabel="clients (log)", ylabel=label)
            axes.set_xticks(clients, [str(one) for one in clients])
            axes.minorticks_off()
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right center")
