"""What this process prints besides our own words, without secrets: tracebacks, warnings, and what libraries log."""

import logging
import sys
import threading
import traceback
import warnings
from functools import cache, wraps
from types import TracebackType

from scd_lightning.progress import complain, printable
from scd_lightning.redaction.cleaning import clean_text


def clean_output() -> None:
    """Has tracebacks, warnings and log records of this process cleaned; once is enough."""
    sys.excepthook = _tell
    threading.excepthook = lambda found: _tell(found.exc_type, found.exc_value, found.exc_traceback)
    _clean_records()
    words = warnings.formatwarning
    if words.__module__ == "warnings":  # One of ours cleans them itself.
        warnings.formatwarning = wraps(words)(lambda *values, **named: printable(words(*values, **named)))
        warnings.formatwarning.__module__ = __name__


def _tell(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    complain("".join(traceback.format_exception(kind, error, trace)).rstrip())


@cache
def _clean_records() -> None:
    make = logging.getLogRecordFactory()
    logging.setLogRecordFactory(wraps(make)(lambda *values, **named: _cleaned(make(*values, **named))))


def _cleaned(record: logging.LogRecord) -> logging.LogRecord:
    try:
        said = record.getMessage()
    except Exception:  # It does not fit its arguments, which the handler tells of.
        return record
    if (cleaned := clean_text(said)) != said:
        record.msg, record.args = cleaned, ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = clean_text("".join(traceback.format_exception(*record.exc_info)).rstrip())
    return record
