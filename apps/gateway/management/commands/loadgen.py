"""`manage.py loadgen URL`: open-loop load on an exchange of one's own, with latency percentiles."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from apps.gateway.loadgen.market import http_client, read_market
from apps.gateway.loadgen.plan import ARRIVALS, OVER, READS, ApiKeyPair, Plan, PlanError, is_private
from apps.gateway.loadgen.processes import run_in_processes
from nebannpet import env

DEFAULTS: Final = Plan(url="")


class Command(BaseCommand):
    help = (
        "Send load to an exchange of your own and print latency percentiles, errors by code and the rate achieved. "
        "Every request has a moment at which it is due, and its latency counts from then (open loop). Orders need "
        "API keys: --keys with lines as manage.py demo_account prints them, or --key and --secret, or LOADGEN_KEY and "
        "LOADGEN_SECRET in the environment. Orders that are left at the end are cancelled. Ends with 1 when a request "
        "failed and with 2 when the load makes no sense."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("url", help="address of the exchange, such as http://localhost:8000")
        parser.add_argument("--orders", type=int, default=0, metavar="N", help="orders a second")
        parser.add_argument("--reads", type=int, default=0, metavar="N", help="public reads a second")
        parser.add_argument("--seconds", type=int, default=DEFAULTS.seconds, metavar="N", help="how long")
        parser.add_argument("--over", choices=OVER, default=DEFAULTS.over)
        parser.add_argument("--symbol", default=DEFAULTS.symbol)
        parser.add_argument("--quantity", default="", help="of each order; default: little more than the least")
        parser.add_argument(
            "--fills", type=int, default=None, metavar="PERCENT",
            help="orders that meet one another, with keys of two accounts; default 50 with two keys, else 0",
        )  # fmt: skip
        parser.add_argument(
            "--cancel-after-ms", type=int, default=DEFAULTS.cancel_after_ms, metavar="MS",
            help="when resting orders are cancelled; 0 is at the end",
        )  # fmt: skip
        parser.add_argument(
            "--read", dest="what", action="append", choices=tuple(READS), help="reads to send; default all of them"
        )
        parser.add_argument(
            "--keys", type=Path, metavar="FILE", help="a JSON object with api_key and api_secret a line"
        )
        parser.add_argument("--key", help="API key")
        parser.add_argument("--secret", help="its secret; of an Ed25519 key the file of the private key (PEM)")
        parser.add_argument("--connections", type=int, default=0, metavar="N", help="default: as many as are needed")
        parser.add_argument("--timeout-ms", type=int, default=DEFAULTS.timeout_ms, metavar="MS", help="of a request")
        parser.add_argument("--arrivals", choices=ARRIVALS, default=DEFAULTS.arrivals, help="spacing of requests")
        parser.add_argument("--seed", type=int, default=DEFAULTS.seed)
        parser.add_argument("--processes", type=int, default=1, metavar="N", help="client processes")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
        parser.add_argument(
            "--remote", action="store_true", help="the exchange is mine although it is not in a private network"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan = _plan(options)
            plan.check()
            if not is_private(plan.host) and not options["remote"]:
                raise PlanError(
                    f"{plan.host} is not this machine or one of a private network. Load is for an exchange of your "
                    "own; if this is yours, add --remote. Nothing was sent."
                )
            with http_client(plan) as client:
                market = read_market(client, plan)
            if not options["json"]:
                self.stdout.write(f"{plan.url}: {market.symbol} at {market.price:f}; limits {', '.join(market.limits)}")
                self.stdout.flush()
            outcome = run_in_processes(plan)
        except PlanError as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(json.dumps(outcome.summary()) if options["json"] else outcome.report())
        if outcome.interrupted or outcome.left_open or any(tally.failed for tally in outcome.kinds.values()):
            sys.exit(1)


def _plan(options: dict[str, Any]) -> Plan:
    keys = _keys(options)
    fills = options["fills"]
    if fills is None:
        fills = 50 if len(keys) > 1 else 0
    return replace(
        DEFAULTS, url=options["url"].rstrip("/"), orders_per_s=options["orders"], reads_per_s=options["reads"],
        seconds=options["seconds"], over=options["over"], symbol=options["symbol"], keys=keys,
        reads=tuple(dict.fromkeys(options["what"] or READS)), quantity=options["quantity"], fills_percent=fills,
        cancel_after_ms=options["cancel_after_ms"], timeout_ms=options["timeout_ms"],
        connections=options["connections"], arrivals=options["arrivals"], seed=options["seed"],
        parts=options["processes"],
    )  # fmt: skip


def _keys(options: dict[str, Any]) -> tuple[ApiKeyPair, ...]:
    if options["keys"] is not None:
        if options["key"] or options["secret"]:
            raise PlanError("Give either --keys or --key and --secret.")
        return tuple(_key_of(line, options["keys"]) for line in _read(options["keys"]).splitlines() if line.strip())
    key = options["key"] or env.text("LOADGEN_KEY", "")
    secret = options["secret"] or env.text("LOADGEN_SECRET", "")
    if not key and not secret:
        return ()
    if not key or not secret:
        raise PlanError("An API key and its secret belong together: --key and --secret, or both in the environment.")
    return (ApiKeyPair(key=key, secret=_secret(secret)),)


def _key_of(line: str, path: Path) -> ApiKeyPair:
    try:
        found = json.loads(line)
        return ApiKeyPair(key=str(found["api_key"]), secret=_secret(str(found["api_secret"])))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise PlanError(f"{path}: every line must be a JSON object with api_key and api_secret.") from error


def _secret(text: str) -> str:
    """The secret itself, or what the file that it names has."""
    return _read(Path(text)) if text.endswith(".pem") else text


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} cannot be read: {error}.") from error
