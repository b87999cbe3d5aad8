"""Bars of what a re-run costs: `python -m benchmarks.plot RERUN.json... PLOT.svg`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from xml.sax.saxutils import escape

_ROW, _LEFT, _WIDE, _RIGHT = 22, 190, 420, 90  # pixels
_TICKS = (0.1, 1, 10, 100, 1000)  # seconds; each is ten times as long as the one before
_STYLE = (
    "text{font:13px sans-serif;fill:#333}.head{font-weight:bold}line{stroke:#ddd}"
    ".ours{fill:#2b7a4b}.other{fill:#9aa5b1}"
)


def bars(results: Sequence[Mapping[str, Any]]) -> str:
    """Draw medians on a logarithmic scale of seconds, one group for each number of hosts."""
    parts, row = [], 1
    for result in results:
        parts.append(_text(0, row, f"{result['hosts']} hosts", "head"))
        row += 1
        for side, seconds in sorted(result["seconds"].items(), key=lambda item: median(item[1])):
            middle = median(seconds)
            kind = "ours" if side.startswith("ours") else "other"
            parts.append(_text(12, row, side))
            parts.append(
                f'<rect class="{kind}" x="{_LEFT}" y="{row * _ROW - 13}" width="{_place(middle):.0f}" height="15"/>'
            )
            parts.append(
                _text(_LEFT + _place(middle) + 6, row, f"{middle:.2g} s" if middle < 10 else f"{middle:.0f} s")
            )
            row += 1
    height = (row + 1) * _ROW
    for tick in _TICKS:
        x = _LEFT + _place(tick)
        parts.insert(0, f'<line x1="{x:.0f}" y1="8" x2="{x:.0f}" y2="{row * _ROW - 10}"/>')
        parts.append(_text(x - 12, row, f"{tick:g} s"))
    size = f'width="{_LEFT + _WIDE + _RIGHT}" height="{height}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{_STYLE}</style>\n{body}\n</svg>\n'


def _place(seconds: float) -> float:
    first, last = math.log10(_TICKS[0]), math.log10(_TICKS[-1])
    return max(1.0, (math.log10(seconds) - first) / (last - first) * _WIDE)


def _text(x: float, row: int, words: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.0f}" y="{row * _ROW}">{escape(words)}</text>'


def main() -> int:
    """Read the measurements and write the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("measured", type=Path, nargs="+", metavar="RERUN.json", help="what benchmarks.rerun wrote")
    parser.add_argument("plot", type=Path, metavar="PLOT.svg", help="where to write the bars")
    given = parser.parse_args()
    documents = [json.loads(file.read_text(encoding="utf-8")) for file in given.measured]
    results = [result for document in documents for result in document["results"]]
    given.plot.write_text(bars(sorted(results, key=lambda result: result["hosts"])), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
