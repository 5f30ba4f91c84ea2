"""One OpenVINO pipeline that many threads ask: a request joins the batch at the next step, and leaves when done."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
import openvino
import openvino_genai
import torch

from supertiny.core.ask import GenerateMachine
from supertiny.core.errors import UserError
from supertiny.model.hardware import compute_dtype

STEP_TOKENS = 2048
"""computed in one step at most; a longer prompt takes several"""
YIELD_S = 0.0005
"""left to the askers after a step that answered some of them, so that they can ask again before the next one"""


@dataclass(frozen=True, slots=True)
class Written:
    """What one prompt is to be gone on with, and who waits for it."""

    ids: list[int]
    how: Any
    """openvino_genai.GenerationConfig"""
    answer: "Future[list[int]]" = field(default_factory=Future)


@contextmanager
def opened(ir: Path, machine: GenerateMachine) -> Iterator[Callable[[list[int], Any], list[int]]]:
    """Give a thread-safe `ask(ids, how)`: the tokens that follow `ids`, the end token included.

    `machine.batch_size` requests at most are computed in one step.
    """
    worker = _Worker(lambda: _pipeline(ir, machine))
    thread = Thread(target=worker.run, daemon=True)
    thread.start()

    def ask(ids: list[int], how: Any) -> list[int]:
        asked = Written(ids, how)
        worker.queue.put(asked)
        return asked.answer.result()

    try:
        yield ask
    finally:
        worker.queue.put(None)
        thread.join()


def _pipeline(ir: Path, machine: GenerateMachine) -> Any:
    """Weights, activations and cache all in the machine's precision: by default OpenVINO rounds the cache to 8 bits."""
    precision = "bf16" if compute_dtype(machine.precision) is torch.bfloat16 else "f32"
    scheduling = openvino_genai.SchedulerConfig()
    scheduling.max_num_seqs = machine.batch_size
    scheduling.max_num_batched_tokens = STEP_TOKENS
    scheduling.dynamic_split_fuse = True
    scheduling.enable_prefix_caching = True
    properties = {
        "INFERENCE_PRECISION_HINT": precision,
        "KV_CACHE_PRECISION": precision,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    return openvino_genai.ContinuousBatchingPipeline(ir, scheduling, "CPU", properties)


class _Worker:
    """The one thread that touches the pipeline, which holds Python's lock while it computes a step."""

    def __init__(self, open_pipeline: Callable[[], Any]) -> None:
        self.queue: SimpleQueue[Written | None] = SimpleQueue()
        self._open = open_pipeline
        self._pipeline: Any = open_pipeline()
        """None after a step that failed, until somebody asks again"""
        self._running: list[tuple[Any, Written]] = []
        """(handle, who waits)"""
        self._numbers = count()

    def run(self) -> None:
        """Until it is told to stop; then what was asked before is answered."""
        stopped = False
        while self._running or not stopped:
            stopped = self._take(wait=not self._running) or stopped
            if self._running:
                self._step()

    def _take(self, wait: bool) -> bool:
        """Let in whoever waits, the first of them also if he is yet to come; whether to stop was among it."""
        while wait or not self.queue.empty():
            asked, wait = self.queue.get(), False
            if asked is None:
                return True
            prompt = openvino.Tensor(np.array([asked.ids], dtype=np.int64))
            try:
                self._pipeline = self._pipeline or self._open()
                handle = self._pipeline.add_request(next(self._numbers), prompt, asked.how)
            except Exception as error:  # who asked must hear of it
                asked.answer.set_exception(error)
            else:
                self._running.append((handle, asked))
        return False

    def _step(self) -> None:
        """A token more for all; whoever has his last one is answered. A step that fails, fails everyone in it."""
        try:
            self._pipeline.step()
        except Exception as error:
            for _, asked in self._running:
                asked.answer.set_exception(error)
            self._running, self._pipeline = [], None  # what failed would stay in it, and fail again
            return
        going = [one for one in self._running if not _answered(*one)]
        some_left = len(going) < len(self._running)
        self._running = going
        if some_left:
            time.sleep(YIELD_S)


def _answered(handle: Any, asked: Written) -> bool:
    match handle.get_status():
        case openvino_genai.GenerationStatus.RUNNING:
            return False
        case openvino_genai.GenerationStatus.FINISHED:
            asked.answer.set_result(handle.read_all()[0].generated_ids)
        case status:
            why = f"engine 'openvino' gave up a prompt of {len(asked.ids)} tokens ({status.name}): no memory is left"
            asked.answer.set_exception(UserError(why))
    return True
