"""The histories find deliberate faults of the reference: see mutants.py.

The cheapest are looked for in every run; all of them with

  tools/test mutants

Each may take what its machine's own run takes, and is not shortened.
"""

import os

import pytest
from hypothesis import Phase
from machine import run
from mutants import CHEAP, MUTANTS, planted

NAMES = list(MUTANTS) if os.environ.get("S3D_MODEL_MUTANTS") else CHEAP


@pytest.mark.parametrize("name", NAMES)
def test_fault_is_found(stack, name):
    with planted(name), pytest.raises(Exception) as raised:
        run(MUTANTS[name][0], stack, phases=(Phase.generate,))
    # What a comparison raises, and no fault of the machine's own.
    assert raised.type in (AssertionError, KeyError), raised.value
