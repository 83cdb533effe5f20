"""Whoever is logged in finds the way out on every page (ASVS 7.4.4)."""

from tests.pages.places import PRIVATE, SITE
from tests.pages.world import World


def test_every_page_of_an_account_has_its_log_out(world: World) -> None:
    client = world.client("owner")
    pages = [place for place in SITE if place.page and place.anonymous == PRIVATE]
    assert len(pages) > 10
    for place in pages:
        answer = client.get(world.address(place.address or place.route), follow=True)
        assert 'action="/account/log-out"' in answer.content.decode(), place.route
