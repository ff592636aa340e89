"""Is the history of one key that of a register? (Wing and Gong; the
configurations are kept as sets, so that the search is bounded by how many
operations are under way at once.)

The state of a key is the ETag of its object, or None. All bodies differ.
"""

import dataclasses
import math
from typing import Optional

CONFIGURATIONS_MAX = 500_000


@dataclasses.dataclass(frozen=True)
class Operation:
    """`end` is when the answer was there. `known` is False if there was none:
    then the operation happened before `end` or not at all."""
    kind: str                   # put, delete, read, put_absent, put_match
    start: float
    end: float = math.inf
    known: bool = True
    done: bool = True           # False: a condition was not met
    value: Optional[str] = None  # that is written, or was read
    expected: Optional[str] = None  # by put_match

    def apply(self, state):
        """(True, the next state), or (False, None): not in this state."""
        if self.kind == "read":
            return state == self.value, state
        if self.kind in ("put", "delete"):
            return True, self.value
        met = state is None if self.kind == "put_absent" \
            else state == self.expected and state is not None
        if not self.known:
            return True, self.value if met else state
        if met != self.done:
            return False, None
        return True, self.value if met else state


def reachable(configurations, pending, until=None):
    """All that follows when some of the pending operations happen now; with
    `until`, only as far as that one has happened."""
    found = set(configurations)
    work = list(configurations)
    while work:
        state, happened = work.pop()
        if until is not None and until in happened:
            continue
        for operation in pending:
            if operation in happened:
                continue
            possible, after = operation.apply(state)
            following = (after, happened | {operation})
            if possible and following not in found:
                found.add(following)
                work.append(following)
        assert len(found) < CONFIGURATIONS_MAX, "too many at once to decide"
    return found


def violation(operations, state=None):
    """None, or the first operation whose answer no order explains."""
    events = [(operation.start, 0, number)
              for number, operation in enumerate(operations)]
    events += [(operation.end, 1, number)
               for number, operation in enumerate(operations)
               if operation.end < math.inf]
    pending = set()
    configurations = {(state, frozenset())}
    for _, is_end, number in sorted(events):
        operation = operations[number]
        if not is_end:
            pending.add(operation)
            continue
        if operation.known:
            # What was read already is so needs nothing else to happen first:
            # that can still happen later.
            so = {c for c in configurations if operation in c[1]
                  or operation.kind == "read" and operation.value == c[0]}
            after = {c for c in reachable(configurations - so, pending,
                                          operation) if operation in c[1]}
            after |= {(s, happened | {operation}) for s, happened in so}
        else:
            after = reachable(configurations, pending)
        if not after:
            return operation
        pending.discard(operation)
        configurations = {(s, happened - {operation}) for s, happened in after}
    return None
