"""What a student is worth: figures, confidence, plots and the report of a run."""
