"""What the report of a run that ended early says in words."""

from typing import Any

from scd_lightning.analysis.formatting import count


def partial_sentence(partial: dict[str, Any]) -> str:
    """Says where and why a run ended, and what there is of it.

    Args:
        partial: The content of partial.json.
    """
    by_state: dict[str, list[str]] = {"finished": [], "unfinished": [], "not begun": []}
    for phase in partial["phases"]:
        by_state[phase["state"]].append(phase["phase"])
    where = f" in {by_state['unfinished'][0]}" if by_state["unfinished"] else ""
    there = ", ".join(by_state["finished"]) or "none of its phases"
    return f"Partial report: the run ended early{where}, on {partial['ended']['when']}. Finished: {there}."


def reason(ended: dict[str, Any]) -> str:
    """Why a run ended.

    >>> reason({"type": "KeyboardInterrupt", "message": "Interrupted (Ctrl-C)."})
    'Interrupted (Ctrl-C).'
    >>> reason({"type": "NotFinite", "message": "The loss is NaN."})
    'NotFinite: The loss is NaN.'
    """
    if was_stopped(ended):
        return str(ended["message"])
    return ": ".join(filter(None, (ended["type"], ended["message"])))


def was_stopped(ended: dict[str, Any]) -> bool:
    """Whether a run was told to end: nothing is wrong with it."""
    return ended["type"] in ("KeyboardInterrupt", "Preempted")


def progress(partial: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each phase: its name, its state, and lines on what there is of it."""
    return [{"phase": s["phase"], "state": s["state"], "lines": [*_lines(s)]} for s in partial["phases"]]


def _lines(phase: dict[str, Any]) -> list[str]:
    lines = [f"{name}: {text}" for name, text in phase["made"].items()]
    if phase["state"] == "unfinished" and (phase["made"] or len(phase["missing"]) > 1):
        lines.append(f"missing: {', '.join(phase['missing'])}")
    if checkpoints := phase.get("checkpoints"):
        steps = ", ".join(count(each["step"]) for each in checkpoints)
        lines.append(f"checkpoints kept so far: {len(checkpoints)} (after optimizer step {steps})")
    if saved := phase.get("saved"):
        lines.append(f"saved at optimizer step {count(saved['step'])} of {count(saved['total_steps'])}: goes on there")
    return lines
