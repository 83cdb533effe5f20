"""Contrast of the colours that are used together, computed from static/site/tokens.css (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re

import pytest
from django.conf import settings

# What text may stand in, and on: every pair of these holds.
TEXTS = ("text", "text-muted", "link", "buy", "sell", "warn", "danger", "ok", "info")
GROUNDS = ("bg", "surface", "surface-2", "surface-3")
# Pairs beside them.
TEXT_ON = {
    "text": ("buy-depth", "sell-depth", "warn-bg", "danger-bg", "ok-bg", "info-bg"),
    "text-muted": ("buy-depth", "sell-depth"),
    "buy": ("buy-depth",),
    "sell": ("sell-depth",),
    "warn": ("warn-bg",),
    "danger": ("danger-bg",),
    "ok": ("ok-bg",),
    "info": ("info-bg",),
    "on-accent": ("accent", "accent-hover", "neutral-fill", "neutral-fill-hover", "sell-fill", "sell-fill-hover"),
    "on-fill": ("buy-fill", "sell-fill"),
}
# Borders of controls, focus rings, lines of the chart (WCAG 1.4.11).
PARTS = ("border-strong", "focus", "chart-up", "chart-down", "chart-average-1", "chart-average-2")
# Nothing is learnt from these: lines between what stands apart already, shadows, half-transparent fills.
ORNAMENTS = {"border", "chart-grid", "chart-volume-buy", "chart-volume-sell", "backdrop", "shadow"}
# WCAG 1.4.3, and 1.4.6 in the theme of those who asked for more.
TEXT_RATIO = {"dark": 4.5, "light": 4.5, "contrast": 7.0}
PART_RATIO = {"dark": 3.0, "light": 3.0, "contrast": 4.5}
THEMES = tuple(TEXT_RATIO)
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgb|hsl|oklch)a?\(")


def _palettes() -> dict[str, dict[str, str]]:
    """Every variable of tokens.css that holds a colour, by theme."""
    css = (settings.BASE_DIR / "static/site/tokens.css").read_text()
    blocks = re.findall(r"^:root(?:\[data-theme=\"(\w+)\"\])? \{(.*?)\n\}", css, re.DOTALL | re.MULTILINE)
    variable = re.compile(r"--([a-z0-9-]+): ([^;]+);")
    return {
        theme or "dark": {name: value for name, value in variable.findall(block) if COLOUR.search(value)}
        for theme, block in blocks
    }


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_formula_against_known_pairs() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_every_pair(theme: str) -> None:
    palette = _palettes()[theme]
    wanted = [(text, ground, TEXT_RATIO[theme]) for text in TEXTS for ground in GROUNDS]
    wanted += [(text, ground, TEXT_RATIO[theme]) for text, grounds in TEXT_ON.items() for ground in grounds]
    wanted += [(part, ground, PART_RATIO[theme]) for part in PARTS for ground in ("bg", "surface", "surface-2")]
    poor = {
        f"{front} on {ground}": round(contrast(palette[front], palette[ground]), 2)
        for front, ground, least in wanted
        if contrast(palette[front], palette[ground]) < least
    }
    assert poor == {}


def test_every_theme_defines_the_same_colours_and_each_is_judged() -> None:
    palettes = _palettes()
    assert tuple(palettes) == THEMES
    judged = {*TEXTS, *GROUNDS, *TEXT_ON, *(ground for grounds in TEXT_ON.values() for ground in grounds), *PARTS}
    for palette in palettes.values():
        assert palette.keys() == judged | ORNAMENTS


def test_colours_stand_in_one_place() -> None:
    static = settings.BASE_DIR / "static"
    elsewhere = [
        f"{path.relative_to(static)}:{number}"
        for path in sorted([*static.rglob("*.css"), *static.rglob("*.js")])
        if path.name != "tokens.css"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if COLOUR.search(line)
    ]
    assert elsewhere == []
