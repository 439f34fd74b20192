"""From a composed configuration to checked values and objects."""
