"""manage.py process: stop, start and restart single processes of the exchange that `make run` started."""

from argparse import ArgumentParser
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from nebannpet.control import ACTIONS, WAIT_S_MAX, Refused, ask
from nebannpet.health import what_it_says
from nebannpet.processes import APPLICATION, GRACE_S

DEFAULT_WAIT_S: Final = 60
# The answer to a stop comes after the process's grace, and a little more for the kernel.
STOP_TIMEOUT_S: Final = max(GRACE_S.values()) + 15


class Command(BaseCommand):
    help = (
        "List the processes that the supervisor of this data directory keeps, with what the health of each says, or "
        "stop, start or restart one. A stopped one gets its time of grace, counts as stopped, not as failing, and "
        "stays down until it is started again."
    )
    # The servers may be among what is stopped.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("list", *ACTIONS))
        parser.add_argument("name", nargs="?", help="such as matching; `list` shows all names")
        parser.add_argument(
            "--wait",
            type=int,
            default=DEFAULT_WAIT_S,
            metavar="SECONDS",
            help=f"how long start and restart wait until it is healthy (default {DEFAULT_WAIT_S})",
        )

    def handle(self, *args: Any, action: str, name: str | None, wait: int, **options: Any) -> None:
        if action == "list" and name is not None:
            raise CommandError("list takes no name: it shows all processes.")
        if action != "list" and name is None:
            raise CommandError(f"{action} needs the name of a process; `manage.py process list` shows them.")
        if not 0 <= wait <= WAIT_S_MAX:
            raise CommandError(f"--wait is from 0 to {WAIT_S_MAX:.0f} seconds.")
        request = {"do": action} if name is None else {"do": action, "name": name, "wait_s": wait}
        try:
            answer = ask(settings.PATHS.control_socket, request, timeout_s=STOP_TIMEOUT_S + wait)
        except Refused as refusal:
            why = what_it_says(settings.PATHS.health_socket(name)).why if name in APPLICATION else ""
            raise CommandError(f"{refusal}\n{name} says: {why}" if why else str(refusal)) from refusal
        if action != "list":
            self.stdout.write(answer["done"])
            return
        self._print_table(answer["processes"])

    def _print_table(self, table: dict[str, dict[str, Any]]) -> None:
        """The supervisor's state says that a process runs and was well once; its own health says how it is now."""
        width = max(map(len, table))
        self.stdout.write(f"{'process':{width}}  {'state':10}  {'pid':>7}  restarts  health")
        explanations = []
        for name, entry in table.items():
            said = what_it_says(settings.PATHS.health_socket(name))
            row = f"{name:{width}}  {entry['state']:10}  {entry['pid'] or '-':>7}  {entry['restarts']:8}  {said.word}"
            self.stdout.write(row.rstrip())
            if said.why:
                explanations.append(f"{name}: {said.why}")
        if explanations:
            self.stdout.write("\n".join(["", *explanations]))
