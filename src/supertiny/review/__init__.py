"""What a branch changed against another revision: figures, parameters, stages, pictures, and whether its gates hold."""
