"""A backend of joblib for kernels: each batch of tasks in a fork, which has all that the tasks need without copying it there.

Only the results travel back. Numbers are those of the tasks run one after the other.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from joblib import parallel_config, register_parallel_backend
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase, SequentialBackend

NAME = "salesforecast-forks"
_forking = threading.Lock()


class Forks(AutoBatchingMixin, ParallelBackendBase):
    """Runs batches in forks of this process, a few at a time."""

    # a fork costs some hundredths of a second, so what takes tenths goes together
    MIN_IDEAL_BATCH_DURATION = 1.0
    MAX_IDEAL_BATCH_DURATION = 5.0
    supports_retrieve_callback = True
    supports_return_generator = False
    _pool: ThreadPoolExecutor | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """As many as asked for; one within a fork."""
        return 1 if n_jobs is None or n_jobs < 1 else n_jobs

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Begin."""
        self.parallel = parallel
        self._pool = ThreadPoolExecutor(n_jobs)
        return n_jobs

    def terminate(self) -> None:
        """End."""
        if self._pool:
            self._pool.shutdown()
            self._pool = None
        self.reset_batch_stats()

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None] | None = None) -> Future[Any]:
        """Run a batch in a fork."""
        assert self._pool is not None
        future = self._pool.submit(_forked, func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """What a batch gave, or the error that stopped it."""
        return out.result()

    def get_nested_backend(self) -> tuple[Any, int]:
        """Within a fork tasks run one after the other."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), 1


def _forked(func: Callable[[], Any]) -> Any:
    with _forking:  # a fork that another thread makes now would hold this pipe open until its own end
        reads, writes = os.pipe()
        if child := os.fork():
            os.close(writes)
    if not child:
        try:
            try:
                said = pickle.dumps((True, func()), protocol=5)
            except Exception as error:
                said = pickle.dumps((False, error))
            with os.fdopen(writes, "wb") as out:
                out.write(said)
        finally:
            os._exit(0)
    with os.fdopen(reads, "rb") as given:
        said = given.read()  # of our own fork, so it may be unpickled
    os.waitpid(child, 0)
    if not said:
        raise MemoryError("A part of the work ended without a word; it may have run out of memory.")
    good, value = pickle.loads(said)
    if not good:
        raise value
    return value


def enable(jobs: int) -> None:
    """Let the loops of this thread run on so many forks."""
    register_parallel_backend(NAME, Forks)
    parallel_config(backend=NAME, n_jobs=jobs)
