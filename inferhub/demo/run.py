"""The demo from start to end: servers, data, models, workflows, services, a bulk job, and what to paste."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

import orjson
from django.core.management import call_command

from inferhub.demo import seed
from inferhub.demo.check import check_hub
from inferhub.demo.client import HubClient
from inferhub.demo.online_retail import read_online_retail
from inferhub.demo.paste import curl_lines
from inferhub.demo.receiver import WebhookReceiver
from inferhub.embedded.output import PrefixedOutput
from inferhub.embedded.up import address, hub_services, supervised_hub
from inferhub.errors import Conflict, NotFound, Unavailable
from inferhub.jobs.bulk import start_bulk_job
from inferhub.jobs.models import Job, State
from inferhub.lib.allowed_hosts import AllowedHosts
from inferhub.lib.config import Config
from inferhub.recommendations.queries import find_stored
from inferhub.starters.samples.dataset import Dataset
from inferhub.starters.samples.shop import generate_shop

Report = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """What the command line asked for. Without `data` a shop is generated."""

    config: Config
    data: Path | None
    is_check: bool
    summary: Path | None


def run_demo(demo: Demo, *, report: Report) -> bool:
    """Run the demo until Ctrl-C, or with `is_check` until every answer is verified. Returns whether all was right."""
    started = time.monotonic()
    config = _with_receiver(_with_free_port(demo.config, report))
    is_good = not demo.is_check  # Ctrl-C while it starts is no failure
    with ExitStack() as stack:
        log = stack.enter_context(_log_file(config.home / "logs" / "demo.log"))
        report(f"what the services say goes to {log.name}")
        supervisor = stack.enter_context(supervised_hub(config, purpose="inferhub demo", report=PrefixedOutput(log)))
        receiver = stack.enter_context(WebhookReceiver())
        call_command("migrate", verbosity=0)
        seed.claim_hub()
        data = _read(demo.data, report)
        versions = seed.seed_models(data, report)
        seed.seed_shop(data, report)
        receiver.secret = seed.seed_workflows(data, webhook_url=receiver.url, allowed=config.webhook_hosts)
        credentials = seed.make_credentials()
        supervisor.start(*hub_services(config))
        client = HubClient(address(config), credentials.api_key)
        if demo.is_check:
            summary = check_hub(client, data, versions, receiver, report)
            summary["seconds_total"] = round(time.monotonic() - started, 2)
            is_good = not summary["problems"]
            _write(demo.summary, summary)
        else:
            _ensure_stored_lists(data, report)
            _show(config, credentials, data, report, seconds=time.monotonic() - started)
            supervisor.wait()
    return is_good


def _log_file(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("w", encoding="utf-8")


def _read(path: Path | None, report: Report) -> Dataset:
    report(f"reading {path}" if path else "generating a shop")
    data = read_online_retail(path) if path else generate_shop()
    for note in data.notes:
        report(f"  {note}")
    return data


def _with_free_port(config: Config, report: Report) -> Config:
    """The configured port, or the next free one: a demo should not fail because something else uses 8000."""
    for port in range(config.port, min(config.port + 50, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((config.host, port))
            except OSError:
                continue
        if port != config.port:
            report(f"port {config.port} is taken by another program; using {port} (INFERHUB_PORT chooses)")
        return replace(config, port=port)
    return config


def _with_receiver(config: Config) -> Config:
    """The shop of the demo is on this machine, where webhooks may not go unless somebody says so."""
    return replace(config, webhook_hosts=AllowedHosts.parse(f"{config.webhook_hosts.text},localhost"))


def _ensure_stored_lists(data: Dataset, report: Report) -> None:
    """Run the bulk job once, so that stored recommendations can be read; the schedule renews them every night."""
    try:
        find_stored(seed.SCENARIO, data.sample_customer())
    except NotFound:
        try:
            job = start_bulk_job(scenario=seed.SCENARIO, actor=seed.ACTOR)
        except Conflict:  # one that an earlier start of the demo left unfinished
            job = Job.objects.filter(scenario__name=seed.SCENARIO).latest("id")
        while (job := Job.objects.get(pk=job.pk)).state in (State.QUEUED, State.RUNNING):
            time.sleep(0.1)
        if job.state == State.FAILED:
            raise Unavailable(f"The bulk job failed: {job.problem}") from None
        report(f"recommendations of {job.done} customers computed and stored")


def _show(config: Config, credentials: seed.Credentials, data: Dataset, report: Report, *, seconds: float) -> None:
    report("")
    report(f"Inferhub is up after {seconds:.0f} s:  {address(config)}")
    report(f"  sign in as   {credentials.username}   with the password   {credentials.password}")
    report(f"  API key      {credentials.api_key}")
    report(f"  API docs     {address(config)}/api/docs")
    report("Password and key were made for this run; the next start of the demo makes new ones.")
    report("")
    for title, command in curl_lines(address(config), credentials.api_key, data):
        report(f"# {title}")
        report(command)
        report("")
    report("Ctrl-C stops everything.")


def _write(path: Path | None, summary: dict[str, object]) -> None:
    text = orjson.dumps(summary, option=orjson.OPT_INDENT_2, default=str)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text + b"\n")
