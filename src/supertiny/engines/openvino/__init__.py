"""OpenVINO GenAI in this process: continuous batching, paged attention and a prefix cache on CPUs."""
