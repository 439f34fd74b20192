"""How ways to learn from texts without labels compare on the tuning draws: what is kept of sweeps."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from scd_lightning.analysis.comparison.sweep_runs import find_runs
from scd_lightning.analysis.records import PREDICTORS, read_config, read_results
from scd_lightning.errors import ConfigError

CANDIDATES, FOUND = (Path(__file__).parent / name for name in ("texts.yaml", "texts.json"))
SERIES = ("ways", "rates")
STAGE, BEST = "stage", "best"
Record = Mapping[str, Any]


class Way(NamedTuple):
    """A way to learn from texts.

    Attributes:
        method: The method.
        weight: u; 0 of answers as labels, which have no distribution to be weighed.
        source: Whose distribution that is, as `unlabelled.from` has it; "" of answers as labels.
        rate: The student's learning rate.
    """

    method: str
    weight: float
    source: str
    rate: float


@dataclass(frozen=True)
class Series:
    """What is measured on one machine.

    Attributes:
        methods: The methods that learn from the teacher's distribution.
        weights: u of each.
        rates: Learning rates of each, and of the rival.
        from_best: Whether the best checkpoint's distribution is tried too, in place of the stage's.
    """

    methods: Sequence[str]
    weights: Sequence[float]
    rates: Sequence[float]
    from_best: bool = False

    def ways(self, rival: str) -> list[Way]:
        """Those to be measured; not those with the best checkpoint's distribution, which are for one rate."""
        ours = product(self.methods, self.weights, (STAGE,), self.rates)
        return [*(Way(*each) for each in ours), *(Way(rival, 0.0, "", rate) for rate in self.rates)]

    def has(self, way: Way, rival: str) -> bool:
        """Whether a way is one of its."""
        other = way._replace(source=STAGE) if self.from_best and way.source == BEST else way
        return other in self.ways(rival)


@dataclass(frozen=True)
class Wanted:
    """The file of candidates.

    Attributes:
        draws: The tuning draws.
        validation: Validation rows of each.
        texts: Texts without labels of each.
        samples: Samples that every student sees.
        rival: The method that takes the same answers as labels.
        series: What is measured, by name.
        shown: What is shown on other draws: "draws", "methods" and "ahead".
    """

    draws: Sequence[int]
    validation: int
    texts: int
    samples: int
    rival: str
    series: Mapping[str, Series]
    shown: Mapping[str, Any]

    @property
    def best(self) -> str:
        """The method that the first series has chosen for the second."""
        return self.series["rates"].methods[0]


def read_wanted() -> Wanted:
    """Reads the file of candidates."""
    values: dict[str, Any] = yaml.safe_load(CANDIDATES.read_text(encoding="utf-8"))
    series = {name: Series(**fields) for name, fields in values.pop("series").items()}
    return Wanted(series=series, **values)


def keep(series: str, sweeps: Sequence[Path]) -> Path:
    """Adds what sweeps on the tuning draws have found to what is kept.

    Args:
        series: Which series they are of, one of SERIES.
        sweeps: Their folders.

    Raises:
        ConfigError: A run is not one of the series', has read a test row, or was made on another machine than the
            others of the series.
    """
    wanted, records = read_wanted(), {_key(each): each for each in read()}
    for folder in [run for sweep in sweeps for run in find_runs(sweep)]:
        record = _record(folder, series, wanted)
        _check_machine(record, records.values(), folder)
        records[_key(record)] = record
    lines = ",\n".join(json.dumps(records[key]) for key in sorted(records))
    FOUND.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return FOUND


def read() -> list[dict[str, Any]]:
    """What is kept: of each run its series, way and draw, and the validation metrics of its models."""
    return json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else []


def way_of(record: Record) -> Way:
    """The way of a kept run."""
    return Way(record["method"], record["weight"], record["from"], record["rate"])


def student_rate(config: Mapping[str, Any]) -> float:
    """The learning rate of a run's student.

    Args:
        config: Its config.yaml.
    """
    return float(
        f"{config['student']['optimizer']['lr'] * config['method']['lr_scale'] * config['budget']['lr_scale']:.3g}"
    )


def _key(record: Record) -> tuple[Any, ...]:
    return (SERIES.index(record["series"]), *way_of(record), record["draw"])


def _record(folder: Path, series: str, wanted: Wanted) -> dict[str, Any]:
    results, config = read_results(folder), read_config(folder)
    way = _way(results["method"], config, wanted.rival)
    seen = {
        "task": results["task"] == "ner",
        "draw": results["seed"] in wanted.draws,
        "evaluated split": results["evaluated_split"] == "validation",
        "validation rows": results["data"]["sizes"]["validation"] == wanted.validation,
        "texts": results["data"].get("unlabelled", {}).get("texts") == wanted.texts,
        "samples": results["budget"].get("samples") == wanted.samples,
        "method, u, from or rate": wanted.series[series].has(way, wanted.rival),
    }
    if wrong := [name for name, right in seen.items() if not right]:
        expected = f"a run as in texts.yaml, series {series}, on a tuning draw and evaluated on validation"
        raise ConfigError("This is no run of the candidates", where=folder, got=", ".join(wrong), expected=expected)
    scores = {name: results["metrics"][name][results["primary_metric"]] for name in PREDICTORS}
    named = {"method": way.method, "weight": way.weight, "from": way.source, "rate": way.rate}
    return {"series": series} | named | {"draw": results["seed"]} | scores


def _way(method: str, config: Mapping[str, Any], rival: str) -> Way:
    texts, rate = config["unlabelled"], student_rate(config)
    return Way(method, 0.0, "", rate) if method == rival else Way(method, texts["weight"], texts["from"], rate)


def _check_machine(record: Record, others: Iterable[Record], folder: Path) -> None:
    """Of a draw there is one teacher and one anchor, as long as the machine is the same."""
    shared = ("teacher", "anchor")
    for other in others:
        same = (other["series"], other["draw"]) == (record["series"], record["draw"])
        if same and any(other[name] != record[name] for name in shared):
            raise ConfigError(
                "This run's teacher or anchor is another than that of the other runs of its draw",
                where=folder,
                got=", ".join(f"{name} {record[name]}" for name in shared),
                expected=", ".join(f"{name} {other[name]}" for name in shared),
                remedy="measure a whole series on one machine",
            )
