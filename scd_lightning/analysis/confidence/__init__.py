"""How sure a model is of its answers, and how far that can be relied on."""
