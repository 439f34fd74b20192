"""What samples are known by."""

import hashlib
import json
from dataclasses import asdict, dataclass

from scd_lightning.data.samples import Sample, content_digests


@dataclass(frozen=True)
class Span:
    start: int
    text: str


def test_a_digest_is_one_of_all_that_a_sample_is_but_for_its_row():
    gold = (Span(0, "Ada"), [Span(4, "Lyon")])
    samples = [Sample("1", {"text": "Ada, Lyon"}, ("text",), "Ada", gold, ("PERSON",), ("a", "b"))]
    whole, parts = content_digests({"x": 1}, {"train": samples}, ["train"])
    content = asdict(samples[0])
    del content["row"]
    said = json.dumps({"x": 1}).encode() + b"\ntrain\n" + json.dumps(content, sort_keys=True).encode()
    assert whole == parts["train"] == hashlib.sha256(said).hexdigest()
