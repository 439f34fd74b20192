"""A student that answers over HTTP: many clients, one model, and bounds on all that they may ask of it."""
