"""Random histories against the reference: see machine.py."""

import coverage
import pytest
from machine import Machine, run, tour
from machine_logs import Logs
from machine_settings import AllSettings
from machines import Locks, Plain, Versions

MACHINES = [Plain, Versions, Locks, AllSettings, Logs]
finished = []


@pytest.mark.parametrize("machine", [Plain, Locks, AllSettings],
                         ids=lambda m: m.__name__)
def test_tour(stack, machine):
    tour(machine, stack)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda m: m.__name__)
def test_histories(stack, machine):
    run(machine, stack)
    finished.append(machine)


def test_every_operation_was_driven():
    if finished != MACHINES:
        pytest.skip("not all machines have run")
    missing = coverage.missing(Machine.used)
    assert not missing, "\n".join(missing)
