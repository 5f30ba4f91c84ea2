"""Many askers, one worker."""

from concurrent.futures import ThreadPoolExecutor
from threading import current_thread

import pytest

from supertiny.core.ask import batched


def test_everyone_gets_their_own_answer_from_one_thread_in_batches_that_are_not_too_large():
    sizes, threads = [], set()

    def squares(numbers):
        sizes.append(len(numbers))
        threads.add(current_thread())
        return [number**2 for number in numbers]

    with batched(squares, 4) as ask, ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(100))) == [number**2 for number in range(100)]
    assert sum(sizes) == 100 and max(sizes) <= 4 and len(threads) == 1


def test_a_failed_batch_fails_its_askers_alone():
    def picky(numbers):
        if 7 in numbers:
            raise ValueError("seven")
        return numbers

    with batched(picky, 1) as ask:
        with pytest.raises(ValueError, match="seven"):
            ask(7)
        assert ask(8) == 8
