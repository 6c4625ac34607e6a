"""How figures change with size: tokens in the store, tokens in the cache, load, pollers."""
