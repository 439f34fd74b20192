"""`scd serve STUDENT`: a student that answers over HTTP."""

import argparse
import importlib.util
import ipaddress
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from scd_lightning.cli.outcome import command, parser_of
from scd_lightning.cli.student_options import add_model, check_folder, check_model
from scd_lightning.cli.sure_options import add_sure, asked, check_sure, tell_threshold
from scd_lightning.errors import ConfigError, exit_code
from scd_lightning.progress import complain

if TYPE_CHECKING:
    from scd_lightning.serving.bounds import Bounds
    from scd_lightning.serving.guard import Access

TOKEN = "SCD_SERVE_TOKEN"
_PACKAGES = ("fastapi", "uvicorn")
# What guesses at a token would find sooner.
_LEAST_TOKEN = 16

_EPILOG = """STUDENT is the folder of a run, or the folder student/ that a run has left. It is asked by POST /predict,
or as OpenAI's API is under /v1; / is a page to try it, /docs one on its interface.

examples:
  {program} outputs/2026-11-25/10-15-00
  {program} student --host 0.0.0.0 --token-file token     for others, who have to show the token
"""


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("serve", "Serves a student over HTTP, on this machine alone unless told otherwise.", _EPILOG)
    add_model(parser)
    add_sure(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 for a free one (8000)")
    parser.add_argument("--name", default="student", help="what clients call the student (student)")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help=f"what clients have to show; or it is in {TOKEN}"
    )
    parser.add_argument("--no-token", action="store_true", help="answer whoever can reach the address")
    parser.add_argument("--queue", type=int, default=2048, metavar="N", help="texts that may wait (2048)")
    parser.add_argument("--max-texts", type=int, default=512, metavar="N", help="texts of a request (512)")
    parser.add_argument(
        "--max-characters", type=int, default=100_000, metavar="N", help="characters of a text (100000)"
    )
    parser.add_argument("--max-body", type=float, default=4, metavar="MIB", help="MiB of a request's body (4)")
    parser.add_argument("--access-log", action="store_true", help="print a line for each request, without its texts")
    return parser


def _serve(options: argparse.Namespace) -> int:
    _check(options)
    access = _access(options)
    # Before torch and transformers are loaded.
    from scd_lightning.serving.address import bind

    bound = bind(options.host, options.port)
    check_folder(options)
    check_sure(options)
    from scd_lightning.serving.desk import Desk
    from scd_lightning.serving.listening import serve
    from scd_lightning.use.selective import Selective

    student = asked(options)
    if isinstance(student, Selective):
        tell_threshold(student)
    desk = Desk.of(student, options.name, _bounds(options), options.batch)
    if serve(desk, access, bound, access_log=options.access_log):
        return 0
    complain("Ended at once. What waited was not answered.")
    return exit_code(KeyboardInterrupt())


def _check(options: argparse.Namespace) -> None:
    """Refuses what can't work before anything is loaded."""
    missing = [package for package in _PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(
            "What serves is not installed: it is an extra",
            where="serve",
            got=f"no {', '.join(missing)}",
            remedy=f"python -m pip install {' '.join(missing)}",
        )
    check_model(options)
    for name in ("queue", "max_texts", "max_characters", "max_body"):
        if not 0 < getattr(options, name) < math.inf:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError("Nothing could be asked", where=option, got=getattr(options, name), expected="> 0")
    if options.max_texts > options.queue:
        raise ConfigError(
            "A request of as many texts as one may have would never find room",
            where="--max-texts, --queue",
            got=f"{options.max_texts}, {options.queue}",
            expected="a queue of at least as many",
        )
    if not 0 <= options.port < 1 << 16:
        raise ConfigError("That is no port", where="--port", got=options.port, expected="0 to 65535")
    if not options.name.strip():
        raise ConfigError("The student has no name", where="--name", got=repr(options.name))


def _access(options: argparse.Namespace) -> "Access":
    """Who may ask: all on this machine, or who has the token.

    Raises:
        ConfigError: The token can't be used; or others could ask without one.
    """
    from scd_lightning.serving.guard import LOOPBACK, Access

    token = _token(options)
    loopback = _is_loopback(options.host)
    if token is not None:
        return Access(token, None)
    if not loopback and not options.no_token:
        raise ConfigError(
            "Whoever reaches this machine could ask the student",
            where="--host",
            got=options.host,
            expected="a token that clients have to show",
            remedy=f"put one into a file for --token-file, or into the environment variable {TOKEN}; where nobody else "
            "reaches the address, add --no-token",
        )
    return Access(None, LOOPBACK | {options.host} if loopback else None)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(options: argparse.Namespace) -> str | None:
    """The token, from where no list of processes and no shell's history shows it.

    Raises:
        ConfigError: The file can't be read, or it is too short, or no header can carry it.
    """
    token, where = os.environ.get(TOKEN), TOKEN
    if options.token_file is not None:
        where = "--token-file"
        try:
            token = options.token_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError("The token can't be read", where=where, got=f"{options.token_file}: {error}") from error
    if token is None or options.no_token:
        return None
    token = token.strip()
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            "The token can't be used",
            where=where,
            got=f"{len(token)} characters",
            expected=f"at least {_LEAST_TOKEN} letters, digits and signs of ASCII, without blanks",
            remedy="make one with `python -c 'import secrets; print(secrets.token_urlsafe())'`",
        )
    return token


def _bounds(options: argparse.Namespace) -> "Bounds":
    from scd_lightning.serving.bounds import MEBIBYTE, Bounds

    return Bounds(options.max_texts, options.max_characters, int(options.max_body * MEBIBYTE), options.queue)


main = command(_parser, _serve)
