"""What happens, for those who watch: Prometheus metrics, OpenTelemetry spans.

The audit needs no module of its own: see ``events``. Nothing here stands on the hit path.
"""
