"""HTML pages from the templates beside this file. Whatever comes from data or configuration is escaped."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from scd_lightning.analysis import formatting


def render(template: str, **context: Any) -> str:
    """Fills a template; the formats of `formatting` are its filters."""
    environment = Environment(
        loader=PackageLoader("scd_lightning.analysis"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for format_value in (
        formatting.number,
        formatting.signed,
        formatting.share,
        formatting.count,
        formatting.duration,
        formatting.size,
    ):
        environment.filters[format_value.__name__] = format_value
    return environment.get_template(template).render(**context)
