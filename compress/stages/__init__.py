"""What a recipe may ask for after distillation, in the order in which the pipeline runs it."""
