"""Any server that speaks the OpenAI protocol: SGLang, vLLM, TensorRT-LLM, a vendor."""
