"""Right, and says in x-version what its environment says: an update of the environment alone."""

import os

import good

VERSION = "0"

good.VERSION = os.environ.get("APP_VERSION", VERSION)
app = good.app
