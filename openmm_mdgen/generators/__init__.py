"""What trained weights generate: one file a task, and the faces that users meet."""
