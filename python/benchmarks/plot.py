"""Bars as SVG."""

from __future__ import annotations


def plot(title: str, medians: dict[str, float]) -> str:
    """Bars, as long as the rates."""
    width, height = 640, 50 + 30 * len(medians)
    most = max(medians.values())
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="24" font-size="15">{title}: messages a second</text>',
    ]
    for row, (name, rate) in enumerate(medians.items()):
        y = 40 + 30 * row
        lines.append(f'<text x="10" y="{y + 16}">{name}</text>')
        colour = "#c0392b" if name == "ringway" else "#7f8c8d"
        lines.append(f'<rect x="110" y="{y}" width="{max(1, 400 * rate / most):.0f}" height="22" fill="{colour}"/>')
        lines.append(f'<text x="{118 + 400 * rate / most:.0f}" y="{y + 16}">{rate:,.0f}</text>')
    return "\n".join([*lines, "</svg>\n"])
