"""Networks that tests build: cells, options, weights, states and noise, and the graphs of whole networks."""
