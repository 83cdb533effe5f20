"""Contrast of the colours that are used together, computed from static/site/tokens.css (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re

import pytest
from django.conf import settings

TEXT_ON = {
    "--text": ("--bg", "--surface", "--surface-2", "--surface-3", "--buy-depth", "--sell-depth"),
    "--text-muted": ("--bg", "--surface", "--surface-2", "--buy-depth", "--sell-depth"),
    "--link": ("--bg", "--surface", "--surface-2"),
    "--buy": ("--bg", "--surface", "--surface-2", "--buy-depth"),
    "--sell": ("--bg", "--surface", "--surface-2", "--sell-depth"),
    "--on-accent": ("--accent", "--accent-hover"),
    "--on-fill": ("--buy-fill", "--sell-fill"),
    "--warn": ("--warn-bg",),
    "--danger": ("--danger-bg", "--surface", "--bg"),
    "--ok": ("--ok-bg",),
    "--info": ("--info-bg",),
}
BOUNDARY_ON = {
    "--border-strong": ("--bg", "--surface", "--surface-2"),
    "--focus": ("--bg", "--surface", "--surface-2"),
}


def _palettes() -> dict[str, dict[str, str]]:
    css = (settings.BASE_DIR / "static/site/tokens.css").read_text()
    dark, light = re.findall(r":root(?:\[data-theme=\"light\"\])? \{(.*?)\n\}", css, re.DOTALL)
    colours = re.compile(r"(--[a-z0-9-]+): (#[0-9a-f]{6});")
    return {"dark": dict(colours.findall(dark)), "light": dict(colours.findall(light))}


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


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_pair(theme: str) -> None:
    palette = _palettes()[theme]
    wanted = [(a, b, 4.5) for a, backs in TEXT_ON.items() for b in backs]
    wanted += [(a, b, 3.0) for a, backs in BOUNDARY_ON.items() for b in backs]
    poor = {
        f"{front} on {back}": round(contrast(palette[front], palette[back]), 2)
        for front, back, least in wanted
        if contrast(palette[front], palette[back]) < least
    }
    assert poor == {}


def test_both_themes_define_the_same_colours() -> None:
    palettes = _palettes()
    assert palettes["dark"].keys() == palettes["light"].keys()
