"""The demo: how its ground and its settings were chosen, and what was measured with them."""
