"""What pytest leaves out: modules of an engine whose package is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("megatron") else ["src/supertiny/engines/megatron/worker"]
