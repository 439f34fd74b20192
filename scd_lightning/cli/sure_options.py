"""How sure a student has to be for its answer to be taken: what the commands take that ask it, and what they say."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scd_lightning.cli.student_options import load_student
from scd_lightning.config.checks import require_share
from scd_lightning.errors import ConfigError
from scd_lightning.progress import say

if TYPE_CHECKING:
    from scd_lightning.use.selective import Selective
    from scd_lightning.use.student import Student


def add_sure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "--at-least",
        type=float,
        metavar="SHARE",
        help="leave open what is not so sure that this share of what is taken, such as 0.95, is right by validation",
    )
    parser.add_argument(
        "--fallback", type=Path, metavar="STUDENT", help="another student's folder, which is asked what is left open"
    )


def check_sure(options: argparse.Namespace) -> None:
    """Refuses arguments that can't be used, before anything is loaded.

    Raises:
        ConfigError: One can't.
        ModelError: The fallback is no student.
    """
    if options.at_least is not None:
        require_share(**{"--at-least": options.at_least})
    if options.fallback is None:
        return
    if options.at_least is None:
        raise ConfigError(
            "It is not said what goes to the fallback",
            where="--fallback",
            expected="--at-least beside it",
            remedy="add --at-least 0.95, or leave --fallback out",
        )
    from scd_lightning.use.form import find_student

    find_student(options.fallback, "--fallback")


def asked(options: argparse.Namespace) -> "Student | Selective":
    """The student, or what stands before it where it is not to answer all.

    Raises:
        ConfigError: So sure it can't be.
        ModelError: A student can't be read, or its confidence was not measured.
    """
    student = load_student(options)
    if options.at_least is None:
        return student
    from scd_lightning.use.selective import Selective
    from scd_lightning.use.student import Student

    alone = Selective(student, options.at_least, where="--at-least")
    if options.fallback is None:
        return alone
    fallback = Student.load(options.fallback, options.device, where="--fallback")
    return Selective(student, options.at_least, fallback, where="--at-least")


def tell_threshold(found: "Selective") -> None:
    """Says what is taken, and what proves it."""
    confidence, threshold = found.student.confidence, found.threshold
    assert confidence is not None
    assert threshold.threshold is not None
    checked = threshold.checked
    say(
        f"taken: {confidence.units} from a probability of {threshold.threshold:.4g} on. Of validation that is "
        f"{checked.share:.1%}, of which {checked.right:.1%} are right: {threshold.level:.1%} or more, with 95 % "
        "confidence."
    )
    test = confidence.on_test(threshold.threshold)
    if test is not None and test.right is not None:
        say(f"The test split says: {test.share:.1%} taken, of which {test.right:.1%} are right.")


def open_words(answers: Sequence[Mapping[str, Any]]) -> str:
    """What became of answers, as JSON has them, that were not sure enough; "" where there are none."""
    from scd_lightning.use.selective import FALLBACK

    left, passed_on = sum("guess" in each for each in answers), sum(each.get("by") == FALLBACK for each in answers)
    parts = [f"{left:,} left open"] if left else []
    parts += [f"{passed_on:,} answered by the fallback"] if passed_on else []
    return ", ".join(parts)
