"""The standard library's own tests of queues, with ringway's classes in the place of its own.

    python tests/stdlib_suite.py fork|spawn|forkserver

Run by `test_stdlib.py` in a process of its own, for each start method.
"""

import multiprocessing
import multiprocessing.queues
import os
import sys
import unittest

METHOD = os.environ.setdefault("RINGWAY_START_METHOD", sys.argv[1] if len(sys.argv) > 1 else "fork")

import ringway  # noqa: E402

# Children that are spawned import this module, too.
multiprocessing.queues.Queue = ringway.Queue
multiprocessing.queues.JoinableQueue = ringway.JoinableQueue
multiprocessing.Queue = ringway.Queue
multiprocessing.JoinableQueue = ringway.JoinableQueue
multiprocessing.SimpleQueue = ringway.SimpleQueue

import test._test_multiprocessing as tests  # noqa: E402

tests.install_tests_in_module_dict(globals(), METHOD)

#: Classes whose tests use queues.
CLASSES = ["WithProcessesTestQueue", "TestSimpleQueue"]
if "RINGWAY_STDLIB_ALL" in os.environ:
    CLASSES += ["WithProcessesTestProcess", "TestStdinBadfiledescriptor"]

#: Tests that want what ringway does otherwise, on purpose: python/DIFFERENCES.md says why.
DIFFERENT = {"test_queue_feeder_donot_stop_onexc"}


def suite() -> unittest.TestSuite:
    loader = unittest.TestLoader()
    chosen = unittest.TestSuite()
    for name in CLASSES:
        for case in loader.loadTestsFromTestCase(globals()[name]):
            if case._testMethodName not in DIFFERENT:
                chosen.addTest(case)
    return chosen


if __name__ == "__main__":
    setUpModule()  # noqa: F821
    try:
        result = unittest.TextTestRunner(verbosity=2).run(suite())
    finally:
        tearDownModule()  # noqa: F821
    sys.exit(not result.wasSuccessful())
