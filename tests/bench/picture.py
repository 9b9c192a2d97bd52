"""results.svg: the rates of each case, as ratios to the best durable peer."""
from html import escape

COLOURS = {"postfix": "#7a8ca3", "exim": "#a9b6c4", "opensmtpd": "#d8dee6", "parcelpost 1": "#c4572b", "parcelpost 100": "#e9a23b"}
LEFT, RIGHT, BAR, GAP, TOP = 290, 60, 9, 12, 56


def svg(titles, ratio, goals):
    """titles: {case key: title}; ratio(key, server): a number or None; goals: {case key: [(server, ratio wanted)]}."""
    rows = [(key, title, [(name, ratio(key, name)) for name in COLOURS]) for key, title in titles.items()]
    rows = [(key, title, [one for one in bars if one[1] is not None]) for key, title, bars in rows]
    most = max([value for _, _, bars in rows for _, value in bars] + [wanted for key in titles for _, wanted in goals.get(key, ())] + [1])
    scale, y, parts = 620 / most, TOP, []
    for key, title, bars in rows:
        middle = y + len(bars) * BAR / 2 + 4
        parts.append(f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{escape(title)}</text>')
        for name, value in bars:
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR - 1}" fill="{COLOURS[name]}"/>'
                         f'<text x="{LEFT + value * scale + 4:.1f}" y="{y + BAR - 1}" class="small">{value:.2f}</text>')
            for server, wanted in goals.get(key, ()):
                if server == name:
                    x = LEFT + wanted * scale
                    parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 1}" y2="{y + BAR}" stroke="#000" stroke-width="1.5"/>')
            y += BAR
        y += GAP
    legend, x = [], LEFT
    for name, colour in COLOURS.items():
        legend.append(f'<rect x="{x}" y="28" width="10" height="10" fill="{colour}"/><text x="{x + 14}" y="37">{name}</text>')
        x += 112
    one = LEFT + scale
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + 620 + RIGHT}" height="{y + 10}" font-family="sans-serif" font-size="12">\n'
            '<style>.small{font-size:8px;fill:#444}</style><rect width="100%" height="100%" fill="#fff"/>\n'
            f'<text x="{LEFT}" y="18" font-weight="bold">a second, to the better of Postfix and Exim; a black line is a goal</text>\n'
            + "\n".join(legend) + f'\n<line x1="{one:.1f}" x2="{one:.1f}" y1="{TOP - 8}" y2="{y}" stroke="#888" stroke-dasharray="3 3"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
