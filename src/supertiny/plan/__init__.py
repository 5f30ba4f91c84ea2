"""What a run of the graph will take, before it is run: stages, models, operations, memory, hours."""
