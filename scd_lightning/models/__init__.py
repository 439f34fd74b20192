"""Loading causal language models, and the Lightning modules that train them."""
