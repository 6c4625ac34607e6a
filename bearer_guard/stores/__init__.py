"""The adapters, one a module; ``bearer_guard.open_store`` finds them by URL.

Drivers' errors end here: what leaves an adapter is ``StoreUnavailable``.
"""
