"""How a student that was just made is asked, as a command."""

from pathlib import Path
from string import Formatter

from scd_lightning.config.invocation import program
from scd_lightning.config.pasting import command_of
from scd_lightning.errors import ModelError


def ask_line(folder: Path) -> str | None:
    """The command that asks a student, as this process was started; what to ask is left to fill in.

    Args:
        folder: That of its run, or its own.

    Returns:
        None where there is no student, or one of a task that `predict` does not know.
    """
    # Torch is loaded here; a job that has trained has it.
    from scd_lightning.use.form import find_student, read_form

    try:
        form = read_form(find_student(folder, "STUDENT"))
    except ModelError:
        return None
    assert form.task.template is not None
    columns = {name for _, name, _, _ in Formatter().parse(form.task.template) if name}
    what = '"..."' if len(columns) == 1 else "--file rows.jsonl"
    return f"{command_of([*program('predict'), str(folder)])} {what}"
