"""How long an answer takes tells nobody whether an address has an account (threat-T4): medians within 5 %.

On a busy machine medians of the same thing differ by more. So a larger difference counts only if labels that are dealt
out by chance would hardly ever give it (a permutation test).
"""

import random
import statistics
import time

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from tests.accounts.people import PASSWORD

pytestmark = [pytest.mark.django_db, pytest.mark.long]
COUNT = 200
# Code and connections that the first ones load are paid by neither side.
WARM_UP = 20
WITHIN = 0.05
SHUFFLES, UNLIKELY = 2_000, 0.001
FORMS = {
    "/account/log-in": lambda email: {"username": email, "password": "not the right one"},
    "/account/forgot-password": lambda email: {"email": email},
    "/account/sign-up": lambda email: {"email": email, "password": "an owl in the attic"},
}


@pytest.mark.parametrize("path", FORMS)
def test_medians_of_known_and_unknown_addresses(path: str) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    hashed = make_password(PASSWORD)
    users = [User(email=f"person{n:03}@known.example", password=hashed) for n in range(COUNT + WARM_UP)]
    for user in users:
        user.email_verified_at = timezone.now()
        user.save()
    asked = [(user.email, True) for user in users] + [(f"person{n:03}@fresh.example", False) for n in range(len(users))]
    draw = random.Random(seed)
    # In any order, so that a machine that is busy for a while is so for both.
    warming, rest = [asked[0], asked[-1]] * (WARM_UP // 2), asked[WARM_UP // 2 : -WARM_UP // 2]
    draw.shuffle(rest)
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number, (email, known) in enumerate([*warming, *rest]):
        client = Client(REMOTE_ADDR=f"2001:db8:{number:x}::1")
        client.get(path)
        fields = {**FORMS[path](email), "csrfmiddlewaretoken": client.cookies["csrftoken"].value}
        began = time.perf_counter()
        answer = client.post(path, fields)
        if number >= WARM_UP:
            taken[known].append(time.perf_counter() - began)
        assert answer.status_code in (302, 422)
    assert min(len(times) for times in taken.values()) >= COUNT
    known_s, unknown_s = (statistics.median(taken[known]) for known in (True, False))
    chance = by_chance(draw, taken[True], taken[False])
    print(f"{path}: {known_s * 1_000:.2f} ms known, {unknown_s * 1_000:.2f} ms unknown, by chance {chance:.4f}")
    assert abs(known_s - unknown_s) <= WITHIN * max(known_s, unknown_s) or chance > UNLIKELY


def by_chance(draw: random.Random, first: list[float], second: list[float]) -> float:
    """How often medians of two random halves differ by as much as those of `first` and `second`."""
    seen = abs(statistics.median(first) - statistics.median(second))
    together, hits = [*first, *second], 0
    for _ in range(SHUFFLES):
        draw.shuffle(together)
        halves = together[: len(first)], together[len(first) :]
        hits += abs(statistics.median(halves[0]) - statistics.median(halves[1])) >= seen
    return hits / SHUFFLES


def test_the_test_would_notice() -> None:
    draw = random.Random(1)
    quick = [0.1 + draw.random() / 10 for _ in range(COUNT)]
    assert by_chance(draw, quick, [each + 0.03 for each in quick]) <= UNLIKELY
    assert by_chance(draw, quick, [0.1 + draw.random() / 10 for _ in range(COUNT)]) > UNLIKELY
