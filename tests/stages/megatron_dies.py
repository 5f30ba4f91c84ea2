"""A worker that dies before its third step; test_megatron's launcher starts it in place of the real one."""

from supertiny.engines.megatron.worker.__main__ import main


def mortal() -> None:
    from supertiny.engines.megatron.worker.trainer import Trainer

    step = Trainer._step

    def dies(self, number, total):
        if number == 2:
            raise RuntimeError("power cut")
        return step(self, number, total)

    Trainer._step = dies
    main()


if __name__ == "__main__":
    mortal()
