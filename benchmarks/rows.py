"""Reading the rows of the sections: which belong together, and what is divided by what."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]


class StepCase:
    """A row of the section `steps`: all contenders of one workload.

    Args:
        row: The row, as `steps.row` describes it.
    """

    def __init__(self, row: Row) -> None:
        self.row = row
        self.contenders: dict[str, Row] = row["contenders"]

    @property
    def share(self) -> int:
        """Per cent of the tokens that are the prompt's."""
        return round(100 * self.row["prompt"] / (self.row["prompt"] + self.row["completion"]))

    @property
    def vocabulary(self) -> int:
        """Size V of the vocabulary."""
        return int(self.row["vocab_size"])

    @property
    def about(self) -> str:
        """What sets the case apart, in words."""
        return f"{self.share} % prompt, V = {self.vocabulary}"

    @property
    def has_smollm2_student(self) -> bool:
        """Whether the student has the width and the number of layers of SmolLM2-135M."""
        return (self.row["student"]["hidden"], self.row["student"]["layers"]) == (576, 30)

    def step(self, name: str, clock: str = "seconds") -> float | None:
        """What a contender's step takes, the median, or what the floor is; None where it was not measured."""
        if name == "floor":
            return float(self.row["floor"][clock])
        return float(self.contenders[name][clock]["median"]) if name in self.contenders else None

    def slower(self, one: str, other: str, clock: str = "seconds") -> float | None:
        """How many times as long a step of one takes as a step of the other; None where one is missing."""
        return _ratio(self.step(one, clock), self.step(other, clock))

    def memory(self, one: str, other: str) -> float | None:
        """How many times as much memory one takes at its peak; None where one is missing."""
        peaks = (self.contenders.get(name, {}).get("peak_bytes") for name in (one, other))
        return _ratio(*peaks)

    @property
    def loss_difference(self) -> float | None:
        """The largest difference between the losses of contenders that should have equal ones."""
        known = [each for each in self.row["largest_loss_difference"].values() if each is not None]
        return max(known) if known else None


def spread(values: Sequence[float]) -> dict[str, float]:
    """What rows have of a quantity that was measured several times: {"median", "min", "max"}."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    return None if numerator is None or denominator is None else numerator / denominator


def run_named(rows: Sequence[Row], name: str) -> Row | None:
    """A row of the section `runs`, if it is there."""
    return next((row for row in rows if row["name"] == name), None)


def run_ratio(rows: Sequence[Row], one: str, other: str) -> float | None:
    """How many times as long one run takes as another; None where one is missing."""
    runs = (run_named(rows, name) for name in (one, other))
    return _ratio(*(None if run is None else float(run["seconds"]) for run in runs))


def floor_ratio(row: Row, clock: str = "seconds") -> float:
    """How many times as long a run takes as its floor."""
    return float(row[clock] / row["floor"][clock])


def narrow_floor_ratio(row: Row, clock: str = "seconds") -> float:
    """As `floor_ratio`, of a floor without the products of the schedule's divergences."""
    parts = {name: part[clock] for name, part in row["parts"].items()}
    return float(row[clock] / (row["floor"][clock] - divergences(row["plan"], parts)))


def divergences(plan: Mapping[str, Any], parts: Mapping[str, float]) -> float:
    """What the products of a schedule's divergences take, for each stage's divergence from each checkpoint.

    Args:
        plan: Fields of the run's plan.
        parts: What each part takes, see `run_once.parts`.

    Returns:
        For each the teacher's head and one pass over the vocabulary; 0 where no schedule is scored.
    """
    if not plan["method"].startswith("scd"):
        return 0.0
    return float(plan["stages"] * plan["checkpoints"] * (parts["probe_head"] + parts["probe_vocabulary_pass"]))


def speed(row: Row, way: str) -> float:
    """Gigabytes a second of a row of the section `reload`."""
    return float(row["bytes"] / 1e9 / row["seconds"][way]["median"])


def copy_speed(row: Row) -> float:
    """Gigabytes a second of the faster one of the two ways to copy."""
    return max(speed(row, way) for way in ("copy", "memcpy"))


def relative_speed(row: Row, rows: Iterable[Row]) -> float:
    """How fast a way to train is beside the first one measured of the same model."""
    first = next(each for each in rows if each["model"] == row["model"])
    return float(first["seconds"]["median"] / row["seconds"]["median"])


def saving_share(row: Row) -> float:
    """The part of a phase's time that went into saving its states."""
    return float(row["save_seconds"] / row["seconds"])


def check_ratio(row: Row, clock: str = "seconds") -> float:
    """How many times as long checking gold answers takes as encoding their rows, of a row of the section `gold`."""
    return float(row[clock]["check"]["median"] / row[clock]["encode"]["median"])


def search_ratio(row: Row, what: str = "seconds", way: str = "search") -> float:
    """How many times as much scoring each candidate takes as a search, of a row of the section `candidates`.

    Args:
        row: The row.
        what: "seconds", "cpu_seconds" or "tokens" fed to the model.
        way: "search", or "probabilities".
    """
    one, other = (row[what][name] if what == "tokens" else row[what][name]["median"] for name in ("exhaustive", way))
    return float(one / other)


def text_ratios(row: Row, clock: str = "seconds") -> dict[str, float]:
    """What texts without labels take beside what they are held against, of a row of the section `texts`.

    Returns:
        Of a step, its ratio to one on rows with labels; of the phase, to each way to generate bare.
    """
    times = _medians(row, clock)
    if row["name"] == "step":
        return {"cached": times["texts"] / times["cached"]}
    return {name: times["phase"] / times[name] for name in ("generate", "decode")}


def asking_ratio(row: Row, clock: str) -> float:
    """How many times as many rows an exported student answers as an evaluation and the making of its token ids do.

    Args:
        row: The row, of `predicting`.
        clock: "seconds" or "cpu_seconds".
    """
    times = _medians(row, clock)
    return (times["encode"] + times["evaluate"]) / times["predict"]


def _medians(row: Row, clock: str) -> dict[str, float]:
    return {way: float(of["median"]) for way, of in row[clock].items()}


def throughput(row: Row) -> float:
    """Texts a second of a way to load a server, of a row of the section `serving`."""
    return float(row["texts"] / row["seconds"])


def loaded(rows: Iterable[Row]) -> list[Row]:
    """The rows of the section `serving` that are about load."""
    return [row for row in rows if "latency" in row]


def batching_ratio(row: Row, rows: Iterable[Row]) -> float:
    """How many times as many texts a second a way has as the first one of the same student, one by one."""
    first = next(each for each in rows if each["name"] == row["name"])
    return throughput(row) / throughput(first)
