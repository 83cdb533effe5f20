"""The filter `amount` of all templates, for decimal texts."""

from django import template

from apps.common.amounts import for_reading

register = template.Library()


@register.filter
def amount(text: str) -> str:
    """As for_reading; an empty text, of what there is none, stays empty."""
    return for_reading(text) if text else ""
