"""The lake: the only room with network and disk. Raw bytes as published, typed Parquet, and a manifest that ties them.

Layout of its folder::

    raw/<source>/<file>              bytes as published, with lock.json: sha256, size, origin and day of each
    raw/<source>/.new/               new bytes until they have become tables
    tables/<source>/<table>/*.parquet
    manifests/<source>.json          hashes of inputs -> hashes of outputs; what `load` believes
    locks/<source>.lock
"""

from cyber_trade_econ.lake.catalog import home, provenance, pulled, years
from cyber_trade_econ.lake.choice import chosen_years
from cyber_trade_econ.lake.download import Policy
from cyber_trade_econ.lake.pull import Pulled, pull
from cyber_trade_econ.lake.query import load

__all__ = ["Policy", "Pulled", "chosen_years", "home", "load", "provenance", "pull", "pulled", "years"]
