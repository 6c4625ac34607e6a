"""Our verdict in the idiom of other frameworks and protocols, each importable alone."""
