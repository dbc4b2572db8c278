"""The charts of the report, by Altair, as SVG that is part of the page: no script, no network, the same every time."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

Language = Literal["zh", "en"]

FONT = "system-ui, -apple-system, 'Segoe UI', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
COLOURS = (
    "#1e3a8a", "#2563eb", "#38bdf8", "#99f6e4", "#fbbf24", "#fb7185", "#a78bfa", "#4ade80", "#f97316", "#0d9488",
    "#c026d3", "#facc15",
)  # fmt: skip
PENDING_COLOUR = "#cbd5e1"
_INK, _MUTED, _GRID = "#334155", "#64748b", "#e2e8f0"
_VEGALITE = "6.4"
_CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": "transparent",
    "view": {"stroke": "transparent"},
    "axis": {
        "labelColor": _MUTED,
        "titleColor": _MUTED,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": _GRID,
        "domain": False,
        "ticks": False,
        "labelPadding": 8,
        "titlePadding": 12,
        "labelLimit": 150,
    },
    "legend": {"labelColor": _INK, "labelFontSize": 12, "titleFontSize": 12, "labelLimit": 180},
}


def tier_share(tiers: Sequence[dict[str, Any]], language: Language) -> str:
    """Doughnut of customers per tier. Rows: ``label``, ``customers``, ``share``, ``colour``, best tier first."""
    import altair as alt

    rows = [row | {"order": place, "text": f"{row['share']:.1%}"} for place, row in enumerate(tiers)]
    names = [row["label"] for row in rows]
    base = alt.Chart(alt.Data(values=rows)).encode(
        theta=alt.Theta("customers:Q", stack=True), order=alt.Order("order:Q")
    )
    ring = base.mark_arc(innerRadius=66, outerRadius=108, padAngle=0.012, cornerRadius=2).encode(
        color=alt.Color(
            "label:N",
            scale=alt.Scale(domain=names, range=[row["colour"] for row in rows]),
            legend=alt.Legend(title=None, orient="right", symbolType="circle", rowPadding=8),
        )
    )
    # A label on a sliver would lie on its neighbours.
    shares = (
        base.transform_filter("datum.share >= 0.03").mark_text(radius=128, fontSize=12, fill=_INK).encode(text="text:N")
    )
    total = sum(row["customers"] for row in rows)
    middle = alt.Chart(alt.Data(values=[{"total": f"{total:,}"}]))
    number = middle.mark_text(fontSize=26, fontWeight=600, fill="#0f172a", dy=-6).encode(text="total:N")
    caption = middle.mark_text(fontSize=12, fill=_MUTED, dy=18).encode(
        text=alt.value("位客户" if language == "zh" else "customers")
    )
    return _svg(alt.layer(ring, shares, number, caption).properties(width=280, height=280), f"share-{language}")


def tier_pyramid(tiers: Sequence[dict[str, Any]], language: Language) -> str:
    """Best tier on top, width by customers, the spend share beside. Rows as above with ``spend_share``."""
    import altair as alt

    rows = [
        row
        | {
            "left": -row["customers"] / 2,
            "right": row["customers"] / 2,
            "text": f"{row['customers']:,}",
            "spend": f"{row['spend_share']:.0%}",
        }
        for row in tiers
    ]
    names = [row["label"] for row in rows]
    widest = max((row["customers"] for row in rows), default=1)
    title = "客户数(条宽) · 消费占比(右)" if language == "zh" else "customers (width) · share of spend (right)"
    y = alt.Y("label:N", sort=names, title=None, axis=alt.Axis(labelFontSize=13, labelColor=_INK))
    x = alt.X(
        "left:Q",
        title=title,
        axis=alt.Axis(labels=False, grid=False),
        scale=alt.Scale(domain=[-widest / 2, widest * 0.68]),
    )
    base = alt.Chart(alt.Data(values=rows)).encode(y=y)
    bars = base.mark_bar(cornerRadius=5, height=30).encode(x=x, x2="right:Q", color=alt.Color("colour:N", scale=None))
    inside = (
        base.transform_filter(f"datum.customers >= {widest * 0.12}")
        .mark_text(fontSize=13, fontWeight=600)
        .encode(x=alt.datum(0), text="text:N", color=alt.Color("on:N", scale=None))
    )
    beside = (
        base.transform_filter(f"datum.customers < {widest * 0.12}")
        .mark_text(fontSize=13, fontWeight=600, align="left", dx=6, fill=_INK)
        .encode(x="right:Q", text="text:N")
    )
    spend = base.mark_text(align="right", fontSize=13, fill=_MUTED).encode(x=alt.datum(widest * 0.68), text="spend:N")
    chart = alt.layer(bars, inside, beside, spend).properties(width=330, height=max(46 * len(rows), 92))
    return _svg(chart, f"pyramid-{language}")


def pareto(points: Sequence[tuple[float, float]], marks: Sequence[tuple[float, float]], language: Language) -> str:
    """Share of spend held by the top share of customers. ``points`` draw the curve, ``marks`` are named on it."""
    import altair as alt

    zh = language == "zh"
    x = alt.X(
        "customers:Q",
        title="客户累计占比(按消费从高到低)" if zh else "share of customers, most spend first",
        axis=alt.Axis(format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1], grid=False),
        scale=alt.Scale(domain=[0, 1]),
    )
    y = alt.Y(
        "spend:Q",
        title="消费累计占比" if zh else "share of spend",
        axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
        scale=alt.Scale(domain=[0, 1.02]),
    )
    curve = alt.Chart(alt.Data(values=[{"customers": a, "spend": b} for a, b in points])).encode(x=x, y=y)
    equal = (
        alt.Chart(alt.Data(values=[{"customers": 0, "spend": 0}, {"customers": 1, "spend": 1}]))
        .mark_line(strokeDash=[4, 4], color="#94a3b8", strokeWidth=1)
        .encode(x=x, y=y)
    )
    named = alt.Chart(
        alt.Data(values=[{"customers": a, "spend": b, "text": f"{a:.0%} → {b:.0%}"} for a, b in marks])
    ).encode(x=x, y=y)
    chart = alt.layer(
        curve.mark_area(opacity=0.10, color=COLOURS[1]),
        equal,
        curve.mark_line(color=COLOURS[1], strokeWidth=2.5),
        named.mark_point(filled=True, size=60, color="#0f172a", opacity=1),
        named.mark_text(align="left", dx=9, dy=9, fontSize=12, fill=_INK).encode(text="text:N"),
    ).properties(width=380, height=240)
    return _svg(chart, f"pareto-{language}")


def rfm_heat(cells: Sequence[dict[str, Any]], language: Language) -> str:
    """Customers by R and F score. Rows: ``r``, ``f``, ``customers``, ``spend`` (mean, as text)."""
    import altair as alt

    zh = language == "zh"
    most = max((cell["customers"] for cell in cells), default=1)
    rows = [cell | {"ink": "white" if cell["customers"] > most * 0.45 else _INK} for cell in cells]
    x = alt.X(
        "f:O",
        title="F 频次得分 →" if zh else "F score (orders) →",
        axis=alt.Axis(labelAngle=0),
        scale=alt.Scale(domain=[1, 2, 3, 4, 5]),
    )
    y = alt.Y(
        "r:O",
        title="R 近度得分 →" if zh else "R score (recency) →",
        sort=[5, 4, 3, 2, 1],
        scale=alt.Scale(domain=[5, 4, 3, 2, 1]),
    )
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y)
    boxes = base.mark_rect(cornerRadius=5, stroke="white", strokeWidth=3).encode(
        color=alt.Color(
            "customers:Q",
            scale=alt.Scale(range=["#eff6ff", "#60a5fa", "#1e3a8a"], domain=[0, most / 2, most]),
            legend=None,
        )
    )
    ink = alt.Color("ink:N", scale=None)
    numbers = base.mark_text(fontSize=15, fontWeight=600, dy=-7).encode(
        text=alt.Text("customers:Q", format=","), color=ink
    )
    spend = base.mark_text(fontSize=10.5, dy=10).encode(text="spend:N", color=ink)
    chart = alt.layer(boxes, numbers, spend).resolve_scale(color="independent").properties(width=380, height=250)
    return _svg(chart, f"rfm-{language}")


def transitions(cells: Sequence[dict[str, Any]], labels: Sequence[str], language: Language) -> str:
    """Who moved from which tier to which. Rows: ``before``, ``after``, ``customers``, ``way`` (up, down, other)."""
    import altair as alt

    zh = language == "zh"
    most = max((cell["customers"] for cell in cells), default=1)
    rows = [cell | {"strength": 0.25 + 0.75 * cell["customers"] / most} for cell in cells]
    grid = [{"before": before, "after": after, "same": before == after} for before in labels for after in labels]
    x = alt.X("after:N", title="新等级" if zh else "to", sort=list(labels), scale=alt.Scale(domain=list(labels)),
              axis=alt.Axis(labelAngle=0, orient="top", labelColor=_INK))  # fmt: skip
    y = alt.Y("before:N", title="原等级" if zh else "from", sort=list(labels), scale=alt.Scale(domain=list(labels)),
              axis=alt.Axis(labelColor=_INK))  # fmt: skip
    empty = (
        alt.Chart(alt.Data(values=grid))
        .mark_rect(cornerRadius=5, stroke="white", strokeWidth=3)
        .encode(x=x, y=y, color=alt.condition("datum.same", alt.value("#e2e8f0"), alt.value("#f8fafc")))
    )
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y)
    boxes = base.mark_rect(cornerRadius=5, stroke="white", strokeWidth=3).encode(
        color=alt.Color(
            "way:N",
            scale=alt.Scale(domain=["up", "down", "other"], range=["#059669", "#e11d48", "#64748b"]),
            legend=None,
        ),
        opacity=alt.Opacity("strength:Q", scale=None),
    )
    numbers = base.mark_text(fontSize=15, fontWeight=600).encode(
        text=alt.Text("customers:Q", format=","),
        color=alt.condition("datum.strength > 0.55", alt.value("white"), alt.value(_INK)),
    )
    side = 84 * len(labels)
    return _svg(
        alt.layer(empty, boxes, numbers).properties(width=min(side, 460), height=46 * len(labels)), f"moves-{language}"
    )


def _svg(chart: Any, name: str) -> str:
    """SVG of a chart, to be put into a page; ids in it are its own."""
    import vl_convert

    spec = chart.to_dict() | {"config": _CONFIG}
    svg = str(vl_convert.vegalite_to_svg(json.dumps(spec), vl_version=_VEGALITE))
    # It grows and shrinks with its panel, up to its own width; fonts are the page's.
    svg = re.sub(r' width="([\d.]+)" height="[\d.]+"', r' style="max-width:\1px"', svg, count=1)
    svg = re.sub(r' (font-family|aria-[a-z]+|role)="[^"]*"', "", svg)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    return re.sub(r"url\(#", f"url(#{name}-", svg)
