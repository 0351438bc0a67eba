"""Examine every method, print the table, and leave with 1 when a mutant survives."""

import sys
import time

from .machine import examine, methods, table, without_a_test
from .training_tests import TRAINING_TESTS


def main() -> int:
    start = time.perf_counter()
    faults = without_a_test()
    results = [examine(method, TRAINING_TESTS[method]) for method in methods() if method in TRAINING_TESTS]
    print(table(result.row() for result in results))
    faults += [fault for result in results for fault in result.faults()]
    print(f"\n{len(results)} methods, {time.perf_counter() - start:.0f} s; {len(faults)} faults")
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
