"""HTML in small: escaped text, tables, pictures inside the page, and how the page looks."""

import base64
import html
from collections.abc import Iterable, Sequence

_STYLE = """
:root { --ink: #1f2933; --soft: #6b7785; --line: #dfe4ea; --blue: #2f6db3; --red: #c8372d; --green: #2c8a4b; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f6f8; color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto,
  "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
header h1 { margin: 0; font-size: 26px; letter-spacing: -0.01em; }
header p { margin: 2px 0 0; color: var(--soft); }
section { background: white; border: 1px solid var(--line); border-radius: 8px; padding: 18px 22px 20px;
  margin-top: 18px; break-inside: avoid-page; }
h2 { margin: 0 0 12px; font-size: 18px; }
h3 { margin: 20px 0 8px; font-size: 14px; color: var(--soft); font-weight: 600; }
p { margin: 6px 0; max-width: 75ch; }
img, video { width: 100%; height: auto; display: block; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: 4px 14px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; white-space: nowrap; }
.verdict { display: flex; align-items: baseline; gap: 14px; border-left: 6px solid var(--red); }
.verdict.good { border-left-color: var(--green); }
.verdict b { font-size: 22px; color: var(--red); }
.verdict.good b { color: var(--green); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 18px; }
.tile { background: white; border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; }
.tile b { display: block; font-size: 22px; font-weight: 650; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 12.5px; }
.pass { color: var(--green); font-weight: 600; }
.fail { color: var(--red); font-weight: 700; }
.note { color: var(--soft); font-size: 13px; }
code { font: 12.5px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
@media print { body { background: white; } section, .tile { border-color: #ccc; }
  main { max-width: none; padding: 0; } }
"""


class Html(str):
    """Text that is HTML already; all other text is escaped where it enters a page."""


def text(value: object) -> Html:
    """`value` as HTML: itself if it is HTML, escaped if it is not."""
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("\n".join(text(part) for part in parts))


def code(value: object) -> Html:
    """A command, hash or name."""
    return Html(f"<code>{text(value)}</code>")


def paragraph(value: object, kind: str = "") -> Html:
    """A paragraph, of CSS class `kind`."""
    return Html(f'<p class="{kind}">{text(value)}</p>' if kind else f"<p>{text(value)}</p>")


def heading(value: object) -> Html:
    """A heading inside a section."""
    return Html(f"<h3>{text(value)}</h3>")


def verdict_word(passed: bool) -> Html:
    """`pass` or `FAIL`, coloured."""
    return Html('<span class="pass">pass</span>' if passed else '<span class="fail">FAIL</span>')


def table(header: Sequence[str], rows: Iterable[Sequence[object]], numbers: Iterable[int] = ()) -> Html:
    """A table; columns `numbers` are aligned to the right. An empty header is left out."""
    right = set(numbers)

    def cells(tag: str, values: Sequence[object]) -> str:
        return "".join(
            f'<{tag} class="number">{text(v)}</{tag}>' if i in right else f"<{tag}>{text(v)}</{tag}>"
            for i, v in enumerate(values)
        )

    head = f"<thead><tr>{cells('th', header)}</tr></thead>" if any(header) else ""
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return Html(f"<table>{head}<tbody>{body}</tbody></table>")


def picture(png: bytes, description: str) -> Html:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode("ascii")
    return Html(f'<img alt="{html.escape(description, quote=True)}" src="data:image/png;base64,{data}">')


def film(mp4: bytes) -> Html:
    """An mp4 inside the page."""
    data = base64.b64encode(mp4).decode("ascii")
    return Html(f'<video controls loop muted playsinline src="data:video/mp4;base64,{data}"></video>')


def link(target: str, label: str) -> Html:
    """A link."""
    return Html(f'<a href="{html.escape(target, quote=True)}">{text(label)}</a>')


def section(title: str, parts: Iterable[object]) -> Html:
    """A box with a title."""
    return Html(f"<section><h2>{text(title)}</h2>{join(parts)}</section>")


def verdict(passed: bool, sentence: str) -> Html:
    """The banner on top."""
    kind, word = ("good", "PASS") if passed else ("bad", "FAIL")
    return Html(f'<section class="verdict {kind}"><b>{word}</b><span>{text(sentence)}</span></section>')


def tiles(values: Iterable[tuple[str, str]]) -> Html:
    """A row of (figure, what it is)."""
    inner = "".join(f'<div class="tile"><b>{text(v)}</b><span>{text(name)}</span></div>' for v, name in values)
    return Html(f'<div class="tiles">{inner}</div>')


def page(title: str, subtitle: str, parts: Iterable[object]) -> str:
    """The whole document, which needs no other file."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style></head>\n<body><main>\n"
        f"<header><h1>{text(title)}</h1><p>{text(subtitle)}</p></header>\n"
        f"{join(parts)}\n</main></body></html>\n"
    )
