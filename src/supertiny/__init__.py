"""Turn a large model's skill at one function-calling task into a super-tiny model (arXiv 2504.13471)."""

import logging

for _name in ("torchao", "torch.utils._pytree"):  # GPTQModel brings torchao, which warns of what nobody uses here
    logging.getLogger(_name).setLevel(logging.ERROR)
