"""Forms of the pages of sub-accounts."""

from django import forms

from apps.accounts.policy import SUB_ACCOUNT_LABEL_LENGTH_MAX


class SubAccountForm(forms.Form):
    """The name of a new sub-account, or another name for one."""

    label = forms.CharField(
        label="Name",
        max_length=SUB_ACCOUNT_LABEL_LENGTH_MAX,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="For yourself, such as the strategy or the desk that trades with it.",
    )
