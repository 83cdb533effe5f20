"""What messages are about: users choose by it which of them they get."""

from django.db import models


class Topic(models.TextChoices):
    """Security is about the reader's account, incidents are about what failed or is in danger; nobody can turn these
    off (rules.MANDATORY). Service is maintenance, changes and news.
    """

    SECURITY = "security"
    INCIDENT = "incident", "Incidents"
    SERVICE = "service"
