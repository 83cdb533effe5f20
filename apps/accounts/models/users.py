"""Who logs in (User) and what trades (TradingAccount)."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import InvalidEmail
from apps.accounts.policy import EMAIL_LENGTH_MAX, MAIL_PHRASE_LENGTH_MAX, VALUE_ASSET, ZONE_LENGTH_MAX
from apps.audit.actors import acting
from apps.audit.services import record


class UserManager(BaseUserManager["User"]):
    """Makes a user and its main trading account in one transaction; there is no user without one."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Whoever calls this vouches for the address. Raises InvalidEmail, and IntegrityError when it is taken."""
        return self.create_hashed(email, make_password(password), **fields)

    def create_hashed(self, email: str, password_hash: str, **fields: Any) -> "User":
        """The same with a password that is hashed already."""
        known = {"email_verified_at": timezone.now(), **fields}
        user = self.model(email=normalise_email(email), password=password_hash, **known)
        with transaction.atomic(using=self._db):
            user.save(using=self._db)
            user.trading_accounts.create(label="Main", is_main=True)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})

    def get_by_natural_key(self, email: str | None) -> "User":
        """Log-in look-up: any spelling of the address finds its user. InvalidEmail counts as unknown."""
        try:
            return self.get(email=normalise_email(email or ""))
        except InvalidEmail as error:
            raise self.model.DoesNotExist from error


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in, by e-mail address. The address is stored normalised (addresses.normalise_email)."""

    email = models.EmailField("e-mail", max_length=EMAIL_LENGTH_MAX, unique=True)
    email_verified_at = models.DateTimeField("e-mail verified at", null=True, blank=True)
    mail_phrase = models.CharField(
        max_length=MAIL_PHRASE_LENGTH_MAX,
        blank=True,
        help_text="The user's own words, in every e-mail to them: a forged one lacks them.",
    )
    is_active = models.BooleanField(
        "active", default=True, help_text="Switching off ends sessions and API keys within 1 s."
    )
    locked_at = models.DateTimeField(
        null=True, blank=True, help_text="By its owner, from an e-mail; a new password by e-mail ends it."
    )
    lock_needs_staff = models.BooleanField(
        default=False,
        help_text="Locked from another mailbox than the account's: two of staff release it, or an operator.",
    )
    closed_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="By its owner, for good.")
    closed_email = models.EmailField(
        "address when it was closed",
        max_length=EMAIL_LENGTH_MAX,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="For questions about the record; it is free for a new account.",
    )
    is_staff = models.BooleanField("staff", default=False, help_text="May open the staff admin.")
    withdrawals_held_until = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="After a change of the log-in (A4). The database never moves it back.",
    )
    time_zone = models.CharField(
        max_length=ZONE_LENGTH_MAX, default="UTC", db_default="UTC", help_text="In which pages show times."
    )
    value_asset = models.CharField(
        max_length=16,
        default=VALUE_ASSET,
        db_default=VALUE_ASSET,
        help_text="In which pages say what balances are worth.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        ordering = ("id",)
        permissions = (
            ("manage_staff", "Can ask for roles of staff, decide on them and take them"),
            ("switch_off_user", "Can switch users off"),
            ("reopen_user", "Can ask for accounts to be opened again"),
            ("approve_reopening_user", "Can decide whether accounts are opened again"),
        )
        constraints = (
            # `unique` alone would let code that skips normalise_email make a second account of another case.
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="accounts_user_email_lower"),
        )

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **options: Any) -> None:
        """A new user and a new password leave an entry in the audit log, whoever makes them."""
        is_new, has_new_password = self._state.adding, self._password is not None  # type: ignore[attr-defined]
        with transaction.atomic(using=options.get("using")):
            super().save(*args, **options)
            if is_new:
                rights = {"staff": self.is_staff, "superuser": self.is_superuser}
                record(actor=acting(), action="user.created", object=f"user:{self.pk}", after=rights)
            elif has_new_password:
                record(actor=acting(), action="user.password-changed", object=f"user:{self.pk}")

    def clean(self) -> None:
        """For admin forms: the same normalisation as everywhere else."""
        super().clean()
        try:
            self.email = normalise_email(self.email)
        except InvalidEmail as error:
            raise ValidationError({"email": error.message}) from error


class TradingAccount(models.Model):
    """What holds balances and orders. Its primary key is the engine's account id (from 1001).

    A user has exactly one main account, the master; sub-accounts (requirement A6) are further rows of the same owner,
    made and changed by services/subaccounts.py. While `frozen_at` is set, gateways take cancels of the account and no
    orders; a trigger makes the change news for them (credentials.py).
    """

    class Tier(models.TextChoices):
        STANDARD = "standard"
        DEMO = "demo"

    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="trading_accounts")
    label = models.CharField(max_length=60)
    is_main = models.BooleanField(default=False)
    tier = models.CharField("limits tier", max_length=16, choices=Tier.choices, default=Tier.STANDARD)
    frozen_at = models.DateTimeField("frozen at", null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(
                fields=("owner",), condition=models.Q(is_main=True), name="accounts_one_main_account"
            ),
            models.UniqueConstraint(
                "owner", Lower("label"), condition=models.Q(is_main=False), name="accounts_label_of_owner"
            ),
        )

    def __str__(self) -> str:
        return f"{self.pk} ({self.label})"

    @property
    def is_frozen(self) -> bool:
        return self.frozen_at is not None
