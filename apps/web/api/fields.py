"""What bodies are made of: strict, since a guessed value is somebody's money (threat-T12, threat-T13)."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.common.amounts import ASSET_DECIMALS, AmountError, format_units, parse_decimal

NUMBER_MAX: Final = 2**63 - 1
_AMOUNT: Final = {
    "type": "string",
    "pattern": r"^(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$",
    "example": "0.50000000",
}
_AMOUNT_FAULTS: Final = {
    "malformed": 'Write the amount as text of digits and a point, such as "0.5".',
    "precision": f"An amount has at most {ASSET_DECIMALS} decimals.",
    "range": "That is more than the platform can hold.",
}


class Sent(serializers.Serializer):
    """A body. Names that it does not have are refused, so that nobody sets what is not theirs to set."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data.keys() - self.fields.keys())
            if unknown:
                raise serializers.ValidationError({name[:60]: "There is no such field." for name in unknown})
        return super().to_internal_value(data)


class Nothing(Sent):
    """The body of what needs none: left out, or an empty object."""


class WholeNumber(serializers.IntegerField):
    """A JSON integer; neither a text of digits nor true."""

    def __init__(self, *, min_value: int = 1, max_value: int = NUMBER_MAX, **options: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **options)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            raise serializers.ValidationError("Give a whole number.")
        return data


class Flag(serializers.BooleanField):
    """true or false, and nothing that could mean it."""

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            raise serializers.ValidationError("Give true or false.")
        return data


class Text(serializers.CharField):
    """A JSON string as it is, spaces too."""

    def __init__(self, *, max_length: int, **options: Any) -> None:
        super().__init__(max_length=max_length, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Give a text.")
        return super().to_internal_value(data)


@extend_schema_field(_AMOUNT)
class Amount(serializers.Field):
    """Inside, whole units (10^-8 of the asset); outside, a decimal text."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, str):
            raise serializers.ValidationError(_AMOUNT_FAULTS["malformed"])
        try:
            return parse_decimal(data)
        except AmountError as error:
            raise serializers.ValidationError(_AMOUNT_FAULTS[error.reason]) from error

    def to_representation(self, value: int) -> str:
        return format_units(value)


@extend_schema_field(_AMOUNT)
class AmountText(serializers.Field):
    """A decimal text that a selector has made."""

    def to_representation(self, value: str) -> str:
        return value
