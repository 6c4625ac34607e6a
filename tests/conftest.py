"""Settings for all tests. Helpers are in ``tests.support`` and ``tests.servers.support``."""

from hypothesis import settings

# A busy machine is no bug: time limits are for pytest-timeout, which has one for each test.
settings.register_profile("bearer-guard", deadline=None, print_blob=True)
settings.load_profile("bearer-guard")
