"""What the commands about the store are tried on."""

from tests.store.conftest import maker  # noqa: F401
