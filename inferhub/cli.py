"""The `inferhub` command: `inferhub up`, and Django's management commands with the servers that they need."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

import django
from django.core.management import execute_from_command_line, get_commands, load_command_class

from inferhub.errors import InferhubError
from inferhub.lib.config import BadSetting, Config, read_config
from inferhub.lib.version import own_version

# `demo` starts its own; the others touch neither database nor broker.
_WITHOUT_SERVERS = frozenset(
    {"check", "collectstatic", "compilemessages", "demo", "diffsettings", "help", "makemessages"}
)
_SUMMARIES = {
    "up": "Run the web server, the workers and, unless configured elsewhere, PostgreSQL and Redis.",
    "web": "Run the web processes alone, on servers that run elsewhere.",
}


def main() -> None:
    try:
        run(sys.argv[1:])
    except (BadSetting, InferhubError) as error:
        sys.exit(f"inferhub: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def run(arguments: Sequence[str]) -> None:
    """Run one command. Raises BadSetting or InferhubError with a sentence, SystemExit as the command says."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "inferhub.settings"
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", ())
    if name == "--version":
        print(f"inferhub {own_version()}")
    elif name in {"up", "web"}:
        _serve(name, rest)
    elif name in {"-h", "--help"} or (name == "help" and not rest):
        _print_help()
    else:
        _manage(name.replace("-", "_"), rest)


def _serve(name: str, arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog=f"inferhub {name}", description=_SUMMARIES[name])
    parser.add_argument("--host", help="address to listen on (INFERHUB_HOST)")
    parser.add_argument("--port", help="port to listen on (INFERHUB_PORT)")
    options = parser.parse_args(arguments)
    for variable, value in (("INFERHUB_HOST", options.host), ("INFERHUB_PORT", options.port)):
        if value is not None:
            os.environ[variable] = value
    # Here, since nothing embedded may be loaded where external servers are configured.
    if name == "up":
        from inferhub.embedded.up import up as run_it  # noqa: PLC0415
    else:
        from inferhub.embedded.web import serve as run_it  # noqa: PLC0415
    run_it(read_config())


def _manage(name: str, arguments: Sequence[str]) -> None:
    config = read_config()
    line = ["inferhub", name, *arguments]
    if name in _WITHOUT_SERVERS or (config.database_url and config.broker_url):
        execute_from_command_line(line)
    else:
        _manage_with_servers(config, line)


def _manage_with_servers(config: Config, line: list[str]) -> None:
    # Here, since nothing embedded may be loaded where external servers are configured.
    from inferhub.embedded.servers import embedded_servers  # noqa: PLC0415

    with embedded_servers(config, purpose=" ".join(line[:2])):
        execute_from_command_line(line)


def _print_help() -> None:
    """Our commands first, each with the sentence that its class says about it."""
    django.setup()
    apps = get_commands()
    ours = {name: app for name, app in apps.items() if app.startswith("inferhub.")}
    summaries = _SUMMARIES | {name: load_command_class(app, name).help for name, app in ours.items()}
    width = max(map(len, summaries))
    print("Usage: inferhub COMMAND [OPTION...]\n\nCommands:")
    for name, summary in sorted(summaries.items(), key=lambda pair: (pair[0] not in {"up", "web", "demo"}, pair[0])):
        print(f"  {name.replace('_', '-'):{width}}  {summary}")
    print("\nDjango's own commands:")
    print("  " + " ".join(sorted(apps.keys() - ours.keys())))
    print("\n'inferhub help COMMAND' tells more. Settings come from the environment; README.md lists them.")


if __name__ == "__main__":
    main()
