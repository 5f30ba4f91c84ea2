"""The default source: the grammar of a real voice assistant, walked at random in an invented home."""
