"""
Makes a node misbehave: Python imports this at its start where this folder is on PYTHONPATH.

The variable TL_MISBEHAVE names a function of `tests.network.misbehaviour`, after a colon its
argument. Only processes that tests start so get it; no code of the packages knows of it.
"""

import os

from tests.network.misbehaviour import MISBEHAVIOUR

_name, _, _argument = os.environ["TL_MISBEHAVE"].partition(":")
MISBEHAVIOUR[_name](_argument)
